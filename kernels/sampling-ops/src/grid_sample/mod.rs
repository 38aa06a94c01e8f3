//! Images at the points of a grid, by bilinear interpolation, as `torch.nn.functional.grid_sample`.
//!
//! A tile of points is handled at a time. Of an image a block of rows and columns is in TCM, for those points of the tile that
//! lie in it: where points that follow each other are near each other, as in a warp, a tile has one or two blocks.

mod geometry;
mod gradients;
mod points;

use core::ops::Range;

use gpsimd::prelude::*;

pub use self::gradients::{grid_sample_grid, grid_sample_input};

use self::geometry::{Axes, Images};
use self::points::{Pixels, Points};

fn expect_images(input: &TensorType, grid: &TensorType) -> Result<(), ShapeError> {
    input.expect_rank(4)?;
    grid.expect_rank(4)?.expect_dim(0, input.dim(0))?.expect_dim(3, 2)?;
    if input.dim(2) == 0 || input.dim(3) == 0 {
        return Err(ShapeError::new("the images of input have no pixel"));
    }
    if input.dim(2) > LARGEST || input.dim(3) > LARGEST {
        return Err(ShapeError::new("the images of input have a side of more than 2^24 pixels"));
    }
    Ok(())
}

/// Up to this, places in an image are f32.
const LARGEST: usize = 1 << 24;

fn sampled(input: &TensorType, grid: &TensorType) -> Result<TensorType, ShapeError> {
    expect_images(input, grid)?;
    input.with_shape(&[input.dim(0), input.dim(1), grid.dim(1), grid.dim(2)])
}

/// The images of input at the points of a grid, by bilinear interpolation. A point is x and y, from -1 to 1 over the image: the
/// centres of its outer pixels if `align_corners`, otherwise their outer edges. Outside of the image is 0, or, if `border`, what
/// is nearest in it. NaN is -1.
///
/// input: `[N, C, H, W]`, f32, bf16 or f16, computed in f32; grid: `[N, h, w, 2]`, like input; y: `[N, C, h, w]`.
#[custom_op(
    shape = sampled,
    gradient(input) = grid_sample_input(grad, grid, input, align_corners, border),
    gradient(grid) = grid_sample_grid(grad, input, grid, align_corners, border),
)]
pub fn grid_sample<T: Float>(
    core: &Core,
    input: Input<T>,
    grid: Input<T>,
    align_corners: bool,
    border: bool,
    mut y: Output<T>,
) -> OpResult {
    if y.is_empty() {
        return Ok(());
    }
    let images = Images::of(&input, &grid, Axes { align_corners, border });
    let mut points = Points::new(core, images, 0)?;
    for tile in core.share(images.count * images.tiles(points.most), 1).range() {
        let (image, range) = images.tile(tile, points.most);
        points.load(&grid, image, range.clone())?;
        points.sort();
        sample(core, &points, &input, image, range, &mut y)?;
    }
    Ok(())
}

/// Writes the channels of an image at the points of a tile. Apart from the sorting of points: one frame on the stack after the
/// other.
#[inline(never)]
fn sample<T: Float>(
    core: &Core,
    points: &Points<'_>,
    input: &Input<'_, T>,
    image: usize,
    range: Range<usize>,
    y: &mut Output<'_, T>,
) -> OpResult {
    let images = points.images;
    for channel in image * images.channels..(image + 1) * images.channels {
        let start = channel * images.points;
        let mut stage = core.tcm().stage_filled(y, start + range.start..start + range.end, T::ZERO)?;
        points.each_block(input, channel, |pixels, places| {
            if let (Some((points, parts)), Some(y)) = (points.in_order(places.clone()), stage.get_mut(places.clone())) {
                let near = points.chunks(TOGETHER).zip(parts.chunks(TOGETHER)).zip(y.chunks_mut(TOGETHER));
                near.for_each(|((points, parts), y)| sample_near(pixels, points, parts, y));
                return;
            }
            for point in points.points(places) {
                if let Some(to) = stage.get_mut(point.number) {
                    *to = T::from_f32(interpolate(pixels.corners([point.x, point.y]), [point.x_part, point.y_part]));
                }
            }
        })?;
        stage.store()?;
    }
    Ok(())
}

/// Points in one block that are sampled together: so many of each corner have room on a core's stack.
const TOGETHER: usize = LANES;

/// Samples points that follow each other: one corner of all after the other, so that the rest is computed in vectors. Apart, so
/// that the corners are on the stack only here.
#[inline(never)]
fn sample_near<T: Float>(pixels: &Pixels<'_, T>, points: &[[i32; 2]], parts: &[[f32; 2]], y: &mut [T]) {
    let mut offsets = [0; TOGETHER];
    let Some(offsets) = offsets.get_mut(..points.len()) else { return };
    if !pixels.find(points, offsets) {
        for (to, (point, parts)) in y.iter_mut().zip(points.iter().zip(parts)) {
            *to = T::from_f32(interpolate(pixels.corners(*point), *parts));
        }
        return;
    }
    let mut corners = [[T::ZERO; TOGETHER]; 4];
    for (corner, at) in corners.iter_mut().zip([(0, 0), (0, 1), (1, 0), (1, 1)]) {
        pixels.gather(at, offsets, corner);
    }
    let [a, b, c, d] = &corners;
    let corners = a.iter().zip(b).zip(c.iter().zip(d));
    for (to, (((a, b), (c, d)), parts)) in y.iter_mut().zip(corners.zip(parts)) {
        *to = T::from_f32(interpolate([[a, b], [c, d]].map(|row| row.map(|pixel| pixel.to_f32())), *parts));
    }
}

/// What is at a point between four pixels.
#[inline(always)]
fn interpolate([[a, b], [c, d]]: [[f32; 2]; 2], [x, y]: [f32; 2]) -> f32 {
    a * ((1.0 - x) * (1.0 - y)) + b * (x * (1.0 - y)) + c * ((1.0 - x) * y) + d * (x * y)
}
