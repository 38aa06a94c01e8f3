//! [`Points`]: a tile of the points of a grid, in the order of the blocks of the image that they are in.

use core::ops::Range;

use gpsimd::prelude::*;
use gpsimd::{Buffer, RowTile};

use super::geometry::{Images, OUTSIDE};

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

/// Of each of some points x and y.
type Pairs<'p, T> = &'p [[T; 2]];

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
        let places = self.pixels.as_chunks_mut::<2>().0.iter_mut().zip(self.parts.as_chunks_mut::<2>().0);
        for ((pixels, parts), point) in places.zip(grid.as_chunks::<2>().0) {
            let [x, y] = point.map(T::to_f32);
            let (x, y) = (axes.place(x, width), axes.place(y, height));
            (*pixels, *parts) = ([x.pixel, y.pixel], [x.part, y.part]);
        }
        self.blocks.fill(NOWHERE);
        let (rows, columns) = (self.rows as u32, self.columns as u32);
        // The block that a point was in last, and its first row and column.
        let (mut last, mut runs, mut block, mut top, mut left) = (NOWHERE, 0, NOWHERE, 0, 0);
        let pixels = self.pixels.as_chunks::<2>().0.iter().take(range.len());
        for (own, [x, y]) in self.blocks.iter_mut().zip(pixels) {
            if *x == OUTSIDE || *y == OUTSIDE {
                last = NOWHERE;
                continue;
            }
            let (x, y) = ((x + 1) as u32, (y + 1) as u32);
            // To divide takes longer than all else here.
            if block == NOWHERE || y.wrapping_sub(top) >= rows || x.wrapping_sub(left) >= columns {
                let (row, column) = (y / rows, x / columns);
                (top, left) = (row * rows, column * columns);
                block = (row as usize * across + column as usize) as i32;
            }
            *own = block;
            runs += usize::from(block != last);
            last = block;
        }
        for (number, order) in self.order.iter_mut().enumerate() {
            *order = if number < range.len() { number as i32 } else { NOWHERE };
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

    /// Calls `f` with every block of the image of a channel that points are in, and where in the order these are.
    #[inline(always)]
    pub(super) fn each_block<T: Float>(
        &self,
        input: &Input<'_, T>,
        channel: usize,
        mut f: impl FnMut(&Pixels<'_, T>, Range<usize>),
    ) -> OpResult {
        let mut from = 0;
        while let Some(block) = self.blocks.get(from).copied() {
            let rest = self.blocks.get(from..).unwrap_or_default();
            let count = lanes::position(rest, |other| other != block).unwrap_or(rest.len());
            if block != NOWHERE {
                f(&self.load_block(input, channel, block as usize)?.pixels(), from..from + count);
            }
            from += count;
        }
        Ok(())
    }

    /// The points that are there in the order.
    #[inline(always)]
    pub(super) fn points(&self, places: Range<usize>) -> impl Iterator<Item = Point> {
        self.order.get(places).unwrap_or_default().iter().map(|number| self.at(*number as usize))
    }

    /// Pixels and parts, x and y of each, of the points that are there in the order; `None` if these are not in the order of
    /// their numbers.
    #[inline(always)]
    pub(super) fn in_order(&self, places: Range<usize>) -> Option<(Pairs<'_, i32>, Pairs<'_, f32>)> {
        let (pixels, parts) = (self.pixels.as_chunks().0, self.parts.as_chunks().0);
        self.is_in_order.then_some((pixels.get(places.clone())?, parts.get(places)?))
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
        Ok(Block { rows: pixels, top: top as i32, left: left as i32, columns: right - left })
    }
}

/// A block of a channel's image, loaded.
struct Block<'c, T> {
    rows: RowTile<'c, 'static, T>,
    top: i32,
    left: i32,
    columns: usize,
}

impl<T: Float> Block<'_, T> {
    #[inline(always)]
    fn pixels(&self) -> Pixels<'_, T> {
        let (elements, stride) = self.rows.as_strided().unwrap_or_default();
        let (top, left, rows, columns) = (self.top, self.left, self.rows.len() as u32, self.columns as u32);
        Pixels { elements, stride, top, left, rows, columns }
    }
}

/// Pixels of a channel's image.
pub(super) struct Pixels<'t, T> {
    /// From the first of the first row to the last of the last.
    elements: &'t [T],
    /// From a pixel to that below it.
    stride: usize,
    top: i32,
    left: i32,
    rows: u32,
    columns: u32,
}

impl<T: Float> Pixels<'_, T> {
    /// The pixels around a point; those outside of the image are 0.
    #[inline(always)]
    pub(super) fn corners(&self, [x, y]: [i32; 2]) -> [[f32; 2]; 2] {
        let (row, column) = (y.wrapping_sub(self.top) as u32, x.wrapping_sub(self.left) as u32);
        if row < self.rows.saturating_sub(1) && column < self.columns.saturating_sub(1) {
            let start = row as usize * self.stride + column as usize;
            let at = |start: usize| self.elements.get(start..).and_then(|row| row.first_chunk()).copied();
            if let (Some(above), Some(below)) = (at(start), at(start + self.stride)) {
                return [above, below].map(|row: [T; 2]| row.map(T::to_f32));
            }
        }
        [row, row.wrapping_add(1)].map(|row| [column, column.wrapping_add(1)].map(|column| self.pixel(row, column)))
    }

    /// Where the pixels before points are among the elements; whether all four of each are there.
    #[inline(always)]
    #[expect(clippy::needless_bitwise_bool, reason = "operators that skip an operand are branches")]
    pub(super) fn find(&self, points: &[[i32; 2]], offsets: &mut [i32]) -> bool {
        let (rows, columns) = (self.rows.saturating_sub(1), self.columns.saturating_sub(1));
        let (stride, mut is_one_outside) = (self.stride as i32, 0);
        for (offset, [x, y]) in offsets.iter_mut().zip(points) {
            let (row, column) = (y.wrapping_sub(self.top), x.wrapping_sub(self.left));
            is_one_outside |= u32::from((row as u32 >= rows) | (column as u32 >= columns));
            *offset = row.wrapping_mul(stride).wrapping_add(column);
        }
        is_one_outside == 0
    }

    /// The pixels that are so many rows below and columns behind those at `offsets`, which [`find`](Self::find) has found.
    #[inline(always)]
    pub(super) fn gather(&self, (row, column): (usize, usize), offsets: &[i32], to: &mut [T]) {
        let elements = self.elements.get(row * self.stride + column..).unwrap_or_default();
        lanes::gather(elements, 0, offsets, to);
    }

    #[inline(never)]
    fn pixel(&self, row: u32, column: u32) -> f32 {
        if row >= self.rows || column >= self.columns {
            return 0.0;
        }
        self.elements.get(row as usize * self.stride + column as usize).map_or(0.0, |pixel| pixel.to_f32())
    }
}
