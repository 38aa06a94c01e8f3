//! The gradients of `grid_sample`.

use core::ops::Range;

use gpsimd::prelude::*;

use super::expect_images;
use super::geometry::{Axes, Images, OUTSIDE};
use super::points::Points;

fn like_grid(dy: &TensorType, input: &TensorType, grid: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(&super::sampled(input, grid)?)?;
    Ok(*grid)
}

fn like_input(dy: &TensorType, grid: &TensorType, input: &TensorType) -> Result<TensorType, ShapeError> {
    expect_images(input, grid)?;
    dy.expect_shape_of(&super::sampled(input, grid)?)?;
    Ok(*input)
}

/// The gradient of `grid_sample` with respect to the grid; 0 for a number of it that is held at the border.
///
/// dy: `[N, C, h, w]`, the others as there; dgrid: like grid. Channels are added in their order, in f32.
#[custom_op(shape = like_grid)]
pub fn grid_sample_grid<T: Float>(
    core: &Core,
    dy: Input<T>,
    input: Input<T>,
    grid: Input<T>,
    align_corners: bool,
    border: bool,
    mut dgrid: Output<T>,
) -> OpResult {
    if dgrid.is_empty() {
        return Ok(());
    }
    let tcm = core.tcm();
    let images = Images::of(&input, &grid, Axes { align_corners, border });
    let mut points = Points::new(core, images, 2 * size_of::<f32>())?;
    let mut sums = tcm.buffer::<f32>(2 * points.most)?;
    for tile in core.share(images.count * images.tiles(points.most), 1).range() {
        let (image, range) = images.tile(tile, points.most);
        points.load(&grid, image, range.clone())?;
        points.sort();
        sums.fill(0.0);
        add_channels(core, &points, (&dy, &input), image, range.clone(), &mut sums)?;
        let start = image * images.points;
        let range = 2 * (start + range.start)..2 * (start + range.end);
        let grid = tcm.load(&grid, range.clone())?;
        let mut stage = tcm.stage(&mut dgrid, range)?;
        let sides = [images.width, images.height];
        for (number, (to, (sum, grid))) in stage.iter_mut().zip(sums.iter().zip(&*grid)).enumerate() {
            let size = sides[number % 2];
            let is_free = images.axes.is_free(grid.to_f32(), size);
            *to = T::from_f32(if is_free { sum * images.axes.scale(size) } else { 0.0 });
        }
        stage.store()?;
    }
    Ok(())
}

/// Adds what every channel of an image has of the gradient of x and y of the points of a tile. Apart, as `sample`.
#[inline(never)]
fn add_channels<T: Float>(
    core: &Core,
    points: &Points<'_>,
    (dy, input): (&Input<'_, T>, &Input<'_, T>),
    image: usize,
    range: Range<usize>,
    sums: &mut [f32],
) -> OpResult {
    let images = points.images;
    for channel in image * images.channels..(image + 1) * images.channels {
        let start = channel * images.points;
        let dy = core.tcm().load(dy, start + range.start..start + range.end)?;
        points.each_block(input, channel, |pixels, places| {
            for point in points.points(places) {
                let [[a, b], [c, d]] = pixels.corners([point.x, point.y]);
                let dy = dy.get(point.number).map_or(0.0, |dy| dy.to_f32());
                if let Some([of_x, of_y]) = sums.as_chunks_mut().0.get_mut(point.number) {
                    *of_x += dy * ((b - a) * (1.0 - point.y_part) + (d - c) * point.y_part);
                    *of_y += dy * ((c - a) * (1.0 - point.x_part) + (d - b) * point.x_part);
                }
            }
        })?;
    }
    Ok(())
}

/// The gradient of `grid_sample` with respect to the input: what a pixel has of dy at every point, added in the order of the
/// points, in f32.
///
/// dy: `[N, C, h, w]`, the others as there, input for its shape alone; dinput: like input. A core has blocks of images of its
/// own, and goes through all points for each.
#[custom_op(shape = like_input)]
pub fn grid_sample_input<T: Float>(
    core: &Core,
    dy: Input<T>,
    grid: Input<T>,
    input: Input<T>,
    align_corners: bool,
    border: bool,
    mut dinput: Output<T>,
) -> OpResult {
    if dinput.is_empty() {
        return Ok(());
    }
    let tcm = core.tcm();
    let images = Images::of(&input, &grid, Axes { align_corners, border });
    let Images { axes, width, height, .. } = images;
    // A quarter of the pool for the grid and dy, half for sums, and the rest for them in their type.
    let most = tcm.left() / 4 / (3 * size_of::<T>()) / LANES * LANES;
    let pixels = tcm.left() / 2 / size_of::<f32>() / LANES * LANES;
    let columns = width.min(pixels);
    let rows = (pixels / columns).min(height);
    let (across, down) = (width.div_ceil(columns), height.div_ceil(rows));
    let mut sums = tcm.buffer::<f32>(rows * columns)?;
    for unit in core.share(images.count * images.channels * across * down, 1).range() {
        let (channel, block) = (unit / (across * down), unit % (across * down));
        let (top, left) = (block / across * rows, block % across * columns);
        let (rows, columns) = (rows.min(height - top), columns.min(width - left));
        let image = channel / images.channels;
        sums.fill(0.0);
        for tile in 0..images.tiles(most) {
            let (_, range) = images.tile(tile, most);
            let start = image * images.points;
            let grid = tcm.load(&grid, 2 * (start + range.start)..2 * (start + range.end))?;
            let points = grid.as_chunks::<2>().0;
            let start = channel * images.points;
            let dy = tcm.load(&dy, start + range.start..start + range.end)?;
            for (point, dy) in points.iter().zip(&*dy) {
                let [x, y] = point.map(T::to_f32);
                let y = axes.place(y, height);
                let row = y.pixel.wrapping_sub(top as i32);
                if y.pixel == OUTSIDE || row < -1 || row >= rows as i32 {
                    continue;
                }
                let x = axes.place(x, width);
                if x.pixel == OUTSIDE {
                    continue;
                }
                let column = x.pixel.wrapping_sub(left as i32);
                let dy = dy.to_f32();
                let mut add = |row: i32, column: i32, part: f32| {
                    if (row as usize) < rows
                        && (column as usize) < columns
                        && let Some(sum) = sums.get_mut(row as usize * columns + column as usize)
                    {
                        *sum += dy * part;
                    }
                };
                add(row, column, (1.0 - x.part) * (1.0 - y.part));
                add(row, column + 1, x.part * (1.0 - y.part));
                add(row + 1, column, (1.0 - x.part) * y.part);
                add(row + 1, column + 1, x.part * y.part);
            }
        }
        for row in 0..rows {
            let start = images.plane(channel) + (top + row) * width + left;
            let mut stage = tcm.stage(&mut dinput, start..start + columns)?;
            for (to, sum) in stage.iter_mut().zip(sums.iter().skip(row * columns)) {
                *to = T::from_f32(*sum);
            }
            stage.store()?;
        }
    }
    Ok(())
}
