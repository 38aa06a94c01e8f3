//! [`Points`]: a tile of the points of a grid, in the order of the blocks of the image that they are in.

use core::ops::Range;

use gpsimd::prelude::*;
use gpsimd::{Buffer, RowTile};

use super::geometry::Images;

/// Points of a tile, where TCM has room for as many and for blocks beside them.
const MOST: usize = 128;
/// Of so many runs of points in one block each, a block is loaded anew for every run. Of more, the points are sorted.
const RUNS: usize = 16;
/// A block of points outside.
const NOWHERE: i32 = i32::MAX;

/// A point that lies in the block of an image.
#[derive(Clone, Copy)]
pub(super) struct Point {
    /// Its number in the tile.
    pub(super) number: usize,
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) x_part: f32,
    pub(super) y_part: f32,
}

/// A tile of points.
pub(super) struct Points<'c> {
    core: &'c Core,
    pub(super) images: Images,
    /// The most points.
    pub(super) most: usize,
    /// Pixels before points that a block has along either side.
    rows: usize,
    columns: usize,
    /// Whether few points come after one in another block.
    is_in_order: bool,
    // Freed in this order, the reverse of that in which they are made.
    order: Buffer<'c, i32>,
    blocks: Buffer<'c, i32>,
    /// Of each point x and y.
    parts: Buffer<'c, f32>,
    pixels: Buffer<'c, i32>,
}

impl<'c> Points<'c> {
    /// Room for a tile, with `beside` bytes for each point beside what an output needs.
    #[inline(always)]
    pub(super) fn new(core: &'c Core, images: Images, beside: usize) -> OpResult<Self> {
        let tcm = core.tcm();
        let per_point = 6 * size_of::<i32>() + 2 * size_of::<f32>() + beside;
        let most = if tcm.left() >= 2 * MOST * per_point { MOST } else { 2 * LANES };
        let (pixels, parts) = (tcm.buffer(2 * most)?, tcm.buffer(2 * most)?);
        let (blocks, order) = (tcm.buffer(most)?, tcm.buffer(most)?);
        // In f32 a block has no less room.
        let room = tcm.left().saturating_sub(most * (2 * size_of::<f32>() + beside) + 256) / size_of::<f32>();
        let columns = (images.width + 1).min((room / 2).saturating_sub(1)).max(1);
        let rows = (room / (columns + 1).min(images.width)).saturating_sub(1).max(1);
        Ok(Self { core, images, most, rows, columns, is_in_order: true, order, blocks, parts, pixels })
    }

    /// Blocks beside each other.
    fn across(&self) -> usize {
        (self.images.width + 1).div_ceil(self.columns)
    }

    /// Brings the points in `range` of the grid of an image.
    #[inline(never)]
    pub(super) fn load<T: Float>(&mut self, grid: &Input<'_, T>, image: usize, range: Range<usize>) -> OpResult {
        let Images { axes, width, height, points, .. } = self.images;
        let start = image * points;
        let across = self.across();
        let grid = self.core.tcm().load(grid, 2 * (start + range.start)..2 * (start + range.end))?;
        self.blocks.fill(NOWHERE);
        self.order.fill(NOWHERE);
        let (mut last, mut runs) = (NOWHERE, 0);
        let places = self.pixels.as_chunks_mut::<2>().0.iter_mut().zip(self.parts.as_chunks_mut::<2>().0);
        let targets = places.zip(self.blocks.iter_mut().zip(&mut *self.order)).enumerate();
        for ((number, ((pixels, parts), (block, order))), point) in targets.zip(grid.as_chunks::<2>().0) {
            *order = number as i32;
            let [x, y] = point.map(T::to_f32);
            let (Some(x), Some(y)) = (axes.place(x, width), axes.place(y, height)) else {
                last = NOWHERE;
                continue;
            };
            (*pixels, *parts) = ([x.pixel, y.pixel], [x.part, y.part]);
            let (row, column) = ((y.pixel + 1) as usize / self.rows, (x.pixel + 1) as usize / self.columns);
            *block = (row * across + column) as i32;
            runs += usize::from(*block != last);
            last = *block;
        }
        self.is_in_order = runs <= RUNS;
        Ok(())
    }

    /// Puts the points in the order of their blocks. Apart from `load`: one frame on the stack after the other.
    #[inline(never)]
    pub(super) fn sort(&mut self) {
        if !self.is_in_order {
            lanes::sort(&mut self.blocks, &mut self.order, lanes::Order::Ascending);
        }
    }

    /// Calls `f` with every point that is not outside, and the block that it is in of the image of a channel.
    #[inline(always)]
    pub(super) fn each_block<T: Float>(
        &self,
        input: &Input<'_, T>,
        channel: usize,
        mut f: impl FnMut(&Block<'c, T>, Point),
    ) -> OpResult {
        let mut from = 0;
        while let Some(block) = self.blocks.get(from).copied() {
            let same = self.blocks.iter().zip(&*self.order).skip(from).take_while(|(other, _)| **other == block);
            if block == NOWHERE {
                from += same.count();
                continue;
            }
            let loaded = self.load_block(input, channel, block as usize)?;
            for (_, order) in same {
                f(&loaded, self.at(*order as usize));
                from += 1;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn at(&self, number: usize) -> Point {
        let [x, y] = self.pixels.as_chunks().0.get(number).copied().unwrap_or_default();
        let [x_part, y_part] = self.parts.as_chunks().0.get(number).copied().unwrap_or_default();
        Point { number, x, y, x_part, y_part }
    }

    #[inline(never)]
    fn load_block<T: Float>(&self, input: &Input<'_, T>, channel: usize, block: usize) -> OpResult<Block<'c, T>> {
        let Images { width, height, .. } = self.images;
        let (row, column) = (block / self.across() * self.rows, block % self.across() * self.columns);
        // The pixels before the points, from -1 on, and those behind.
        let (top, left) = (row.saturating_sub(1), column.saturating_sub(1));
        let (bottom, right) = ((row + self.rows).min(height), (column + self.columns).min(width));
        let start = self.images.plane(channel) + top * width + left;
        let rows = Strided { start, rows: bottom - top, columns: right - left, stride: width };
        let pixels = self.core.tcm().load_2d(input, rows)?;
        Ok(Block { pixels, top: top as i32, left: left as i32, rows: bottom - top })
    }
}

/// Pixels of a channel's image.
pub(super) struct Block<'c, T> {
    pixels: RowTile<'c, 'static, T>,
    top: i32,
    left: i32,
    rows: usize,
}

impl<T: Float> Block<'_, T> {
    /// The pixels around a point; those outside of the image are 0.
    #[inline(always)]
    pub(super) fn corners(&self, point: &Point) -> [[f32; 2]; 2] {
        let row = |row: i32| {
            let row = row.wrapping_sub(self.top) as usize;
            let row = if row < self.rows { self.pixels.row(row) } else { &[] };
            let left = point.x.wrapping_sub(self.left) as usize;
            [row.get(left), row.get(left.wrapping_add(1))].map(|pixel| pixel.map_or(0.0, |pixel| pixel.to_f32()))
        };
        [row(point.y), row(point.y + 1)]
    }
}
