//! Where the points of a grid are in an image.

use core::ops::Range;

use gpsimd::prelude::*;

/// How a grid's numbers name places along a side of an image.
#[derive(Clone, Copy)]
pub(super) struct Axes {
    pub(super) align_corners: bool,
    pub(super) border: bool,
}

/// The pixel of a place where that and the next are outside.
pub(super) const OUTSIDE: i32 = i32::MIN;

/// A place along a side of an image: between a pixel, which may be the one before the first, and the next.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) pixel: i32,
    /// How far on the way to the next pixel.
    pub(super) part: f32,
}

impl Axes {
    /// How many pixels a step of 1 in the grid is.
    #[inline(always)]
    pub(super) fn scale(self, size: usize) -> f32 {
        if self.align_corners { (size as f32 - 1.0) / 2.0 } else { size as f32 / 2.0 }
    }

    /// The place in pixels of a number of the grid; from 0 to the last pixel if outside is the border.
    #[inline(always)]
    fn unclipped(self, number: f32, size: usize) -> f32 {
        let number = if number.is_nan() { -1.0 } else { number };
        let size = size as f32;
        if self.align_corners { 0.5 * (number + 1.0) * (size - 1.0) } else { 0.5 * ((number + 1.0) * size - 1.0) }
    }

    /// Whether the place follows a number of the grid, and is not held at the border.
    #[inline(always)]
    pub(super) fn is_free(self, number: f32, size: usize) -> bool {
        let place = self.unclipped(number, size);
        !self.border || (place > 0.0 && place < size as f32 - 1.0)
    }

    /// The place that a number of the grid names. Without a branch, so that a host has it of several in a vector.
    #[inline(always)]
    #[expect(clippy::needless_bitwise_bool, reason = "operators that skip an operand are branches")]
    pub(super) fn place(self, number: f32, size: usize) -> Place {
        let (mut place, last) = (self.unclipped(number, size), size as f32 - 1.0);
        if self.border {
            place = if place > 0.0 { place } else { 0.0 };
            place = if place < last { place } else { last };
        }
        let is_inside = (place >= -1.0) & (place < size as f32);
        let place = if is_inside { place } else { 0.0 };
        let towards_0 = place as i32;
        let pixel = towards_0 - i32::from(towards_0 as f32 > place);
        let part = place - pixel as f32;
        Place { pixel: if is_inside { pixel } else { OUTSIDE }, part }
    }
}

/// The sizes of an op: images with channels, and a grid of points for each image.
#[derive(Clone, Copy)]
pub(super) struct Images {
    pub(super) axes: Axes,
    pub(super) count: usize,
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Of the grid of an image.
    pub(super) points: usize,
}

impl Images {
    pub(super) fn of<T: Element>(input: &Input<'_, T>, grid: &Input<'_, T>, axes: Axes) -> Self {
        let (count, channels) = (input.dim(0), input.dim(1));
        Self { axes, count, channels, height: input.dim(2), width: input.dim(3), points: grid.dim(1) * grid.dim(2) }
    }

    /// Tiles of `most` points in the grid of an image.
    pub(super) fn tiles(&self, most: usize) -> usize {
        self.points.div_ceil(most)
    }

    /// The image and the points of a tile, which are numbered through all images.
    pub(super) fn tile(&self, tile: usize, most: usize) -> (usize, Range<usize>) {
        let (image, start) = (tile / self.tiles(most), tile % self.tiles(most) * most);
        (image, start..(start + most).min(self.points))
    }

    /// The first pixel of a channel's image; channels are numbered through all images.
    pub(super) fn plane(&self, channel: usize) -> usize {
        channel * self.height * self.width
    }
}
