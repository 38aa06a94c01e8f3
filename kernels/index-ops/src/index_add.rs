//! Rows added to a table at indices, and the gradient of rows at indices: what goes to one row of the table is summed.

use core::ops::Range;

use gpsimd::prelude::*;

use crate::gather_rows::rows_at;

/// Indices that are looked at at a time.
const INDICES: usize = 256;

fn like_table(dy: &TensorType, ids: &TensorType, table: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(&rows_at(table, ids)?)?;
    Ok(*table)
}

/// dtable\[v\] = the sum of dy\[i\] over all i with ids\[i\] = v, in their order: the gradient of `gather_rows`.
///
/// dy: `[.., H]`, ids: `[..]`, table, for its shape alone, and dtable: `[V, H]`. f32, bf16 or f16, summed in f32. Every core has
/// rows of its own, so that no two add to the same: it finds the indices that name them, sorts these by row, and goes
/// through its rows once.
#[custom_op(shape = like_table, gradient(dy) = gather_rows(grad, ids))]
pub fn gather_rows_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    ids: Input<i32>,
    table: Input<T>,
    dtable: Output<T>,
) -> OpResult {
    add_rows(core, None, (&dy, &ids), dtable, (table.dim(0), table.dim(1)), -1)
}

fn like_base(base: &TensorType, ids: &TensorType, x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_shape_of(&rows_at(base, ids)?)?;
    Ok(*base)
}

/// y = base, and y\[ids\[i\]\] += x\[i\]: rows added at indices from 0 on, as `torch.index_add(base, 0, ids, x)`.
///
/// base and y: `[V, H]`, ids: any shape, i32, each from 0 to V - 1; x: `[.., H]`. f32, bf16 or f16: what goes to one row is
/// added in f32, in the order of i, and rounded once.
#[custom_op(shape = like_base, gradient(base) = grad, gradient(x) = gather_rows(grad, ids))]
pub fn index_add<T: Float>(core: &Core, base: Input<T>, ids: Input<i32>, x: Input<T>, y: Output<T>) -> OpResult {
    add_rows(core, Some(&base), (&x, &ids), y, (base.dim(0), base.dim(1)), -1)
}

/// Rows of `x` added, at `ids`, to those of `base`, or to 0: a table of so many rows and columns. The body of the ops here, and of
/// others that this is a part of. What goes to row `padding` is left out; -1 is none.
///
/// # Errors
/// When an index is not that of a row. Of rows without elements none is looked at, as none is where they are gathered.
#[inline]
pub fn add_rows<'l, T: Float>(
    core: &Core,
    base: Option<&Input<'l, T>>,
    (x, ids): (&Input<'l, T>, &Input<'l, i32>),
    y: Output<'l, T>,
    (rows, columns): (usize, usize),
    padding: i32,
) -> OpResult {
    if columns == 0 {
        return Ok(());
    }
    let mut named = Named::new(core, ids, padding)?;
    named.verify(rows)?;
    let mut sums = Sums::new(core, columns, base, x, y)?;
    let own = core.share(rows, 1).range();
    let mut next = own.start;
    while next < own.end {
        let block = named.find(next..own.end)?;
        if named.are_all {
            named.sort();
            let mut from = 0;
            while let Some((row, found)) = named.at(from) {
                sums.skip(next..row)?;
                from = found.end;
                sums.write(row, &mut named, &Places::Found(found))?;
                next = row + 1;
            }
            sums.skip(next..block.end)?;
        } else {
            sums.write(next, &mut named, &Places::OfRow(next))?;
        }
        next = block.end;
    }
    Ok(())
}

/// The places where a row is named.
enum Places {
    /// These, of all that were found.
    Found(Range<usize>),
    /// All where this row is, too many to be found at a time.
    OfRow(usize),
}

/// The indices that name some rows, and where they are.
struct Named<'l, 'c> {
    core: &'c Core,
    ids: &'c Input<'l, i32>,
    /// The index that is left out.
    padding: i32,
    // Freed in this order, the reverse of that in which they are made.
    places: gpsimd::Buffer<'c, i32>,
    rows: gpsimd::Buffer<'c, i32>,
    found: usize,
    /// Whether these are all that name the rows.
    are_all: bool,
    /// Rows that were looked for last.
    most: usize,
}

impl<'l, 'c> Named<'l, 'c> {
    fn new(core: &'c Core, ids: &'c Input<'l, i32>, padding: i32) -> OpResult<Self> {
        let tcm = core.tcm();
        // A quarter of the pool. A power of two is sorted.
        let capacity = (tcm.left() / 4 / (2 * size_of::<i32>())).max(128);
        let capacity = capacity.next_power_of_two() >> usize::from(!capacity.is_power_of_two());
        let (rows, places) = (tcm.buffer(capacity)?, tcm.buffer(capacity)?);
        Ok(Self { core, ids, padding, rows, places, found: 0, are_all: false, most: usize::MAX / 2 })
    }

    /// The indices, in parts.
    fn parts(&self) -> Chunks {
        Chunks::of(0..self.ids.len(), INDICES.min(self.places.len()))
    }

    fn load(&self, part: &Range<usize>) -> OpResult<gpsimd::Tile<'c, i32>> {
        self.core.tcm().load(self.ids, part.clone())
    }

    /// Fails unless every index is that of a row.
    fn verify(&self, rows: usize) -> OpResult {
        self.parts().try_for_each(|part| self.core.tcm().load_indices(self.ids, part, rows).map(drop))
    }

    /// Finds the indices that name the first of `rows`, of as many as there is room for the indices of, at least one;
    /// returns which these are.
    #[inline(never)]
    #[expect(clippy::needless_bitwise_bool, reason = "operators that skip an operand are branches")]
    fn find(&mut self, rows: Range<usize>) -> OpResult<Range<usize>> {
        let mut count = rows.len().min(2 * self.most);
        loop {
            (self.found, self.are_all) = (0, true);
            for part in self.parts() {
                let (ids, first) = (self.load(&part)?, part.start as i32);
                let padding = self.padding;
                let is_here = |id: i32| ((id as u32).wrapping_sub(rows.start as u32) < count as u32) & (id != padding);
                let room = self.places.get_mut(self.found..).unwrap_or_default();
                let compacted = lanes::compact(&ids, first, is_here, room);
                let places = room.get(..compacted.found).unwrap_or_default();
                lanes::gather(&ids, first, places, self.rows.get_mut(self.found..).unwrap_or_default());
                self.found += compacted.found;
                if compacted.taken < ids.len() {
                    self.are_all = false;
                    break;
                }
            }
            if self.are_all || count == 1 {
                self.most = count;
                return Ok(rows.start..rows.start + count);
            }
            count /= 2;
        }
    }

    /// Sorts what was found by row, and of one row by place. Apart from `find`: one frame on the stack after the other.
    #[inline(never)]
    fn sort(&mut self) {
        let len = self.found.next_power_of_two().max(2 * LANES);
        let rows = self.rows.get_mut(..len).unwrap_or_default();
        let places = self.places.get_mut(..len).unwrap_or_default();
        for (row, place) in rows.iter_mut().zip(&mut *places).skip(self.found) {
            (*row, *place) = (i32::MAX, i32::MAX);
        }
        lanes::sort(rows, places, lanes::Order::Ascending);
    }

    /// The row that is number `from` of those found, and which of the places are where it is named.
    fn at(&self, from: usize) -> Option<(usize, Range<usize>)> {
        let rows = self.rows.get(from..self.found)?;
        let row = rows.first()?;
        let count = rows.iter().take_while(|other| *other == row).count();
        Some((*row as usize, from..from + count))
    }

    /// Calls `f` with places, from the first to the last, some at a time.
    #[inline(always)]
    fn visit(&mut self, places: &Places, mut f: impl FnMut(&[i32]) -> OpResult) -> OpResult {
        match places {
            Places::Found(found) => f(self.places.get(found.clone()).unwrap_or_default()),
            Places::OfRow(row) => self.each(*row, f),
        }
    }

    /// Where one row is named, from the first place to the last, some at a time.
    fn each(&mut self, row: usize, mut f: impl FnMut(&[i32]) -> OpResult) -> OpResult {
        for part in self.parts() {
            let (ids, first) = (self.load(&part)?, part.start as i32);
            let found = lanes::compact(&ids, first, |id| id as usize == row, &mut self.places).found;
            f(self.places.get(..found).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// The sums of a table, row by row.
struct Sums<'l, 'c, T> {
    core: &'c Core,
    columns: usize,
    /// What is added to, if it is not 0.
    base: Option<&'c Input<'l, T>>,
    x: &'c Input<'l, T>,
    y: Output<'l, T>,
    /// Columns that are summed at a time.
    part: usize,
    /// Of a part of a row. Of f32 the output has them.
    buffer: gpsimd::Buffer<'c, f32>,
}

impl<'l, 'c, T: Float> Sums<'l, 'c, T> {
    const ARE_IN_OUTPUT: bool = size_of::<T>() == size_of::<f32>();

    fn new(
        core: &'c Core,
        columns: usize,
        base: Option<&'c Input<'l, T>>,
        x: &'c Input<'l, T>,
        y: Output<'l, T>,
    ) -> OpResult<Self> {
        // Beside the sums, what is added to them or stored.
        let left = core.tcm().left().saturating_sub(INDICES * size_of::<i32>());
        let most = left / (size_of::<f32>() + size_of::<T>()) / (2 * LANES) * (2 * LANES);
        let part = columns.min(most.max(LANES));
        let buffer = core.tcm().buffer(if Self::ARE_IN_OUTPUT { 0 } else { part })?;
        Ok(Self { core, columns, base, x, y, part, buffer })
    }

    /// Writes a row: that of the base, or 0, and what is added to it.
    #[inline(always)]
    fn write(&mut self, row: usize, named: &mut Named<'_, '_>, places: &Places) -> OpResult {
        let (tcm, columns, x) = (self.core.tcm(), self.columns, self.x);
        for part in Chunks::of(0..columns, self.part) {
            let elements = row * columns + part.start..row * columns + part.end;
            if Self::ARE_IN_OUTPUT {
                let mut sums = if let Some(base) = self.base {
                    tcm.update(base, &mut self.y, elements)?
                } else {
                    tcm.stage_filled(&mut self.y, elements, T::ZERO)?
                };
                named.visit(places, |places| add(tcm, x, (columns, &part), places, &mut sums))?;
                sums.store()?;
                continue;
            }
            if let Some(base) = self.base {
                for (sum, base) in self.buffer.iter_mut().zip(&*tcm.load(base, elements.clone())?) {
                    *sum = base.to_f32();
                }
            } else {
                self.buffer.fill(0.0);
            }
            let sums = &mut self.buffer;
            named.visit(places, |places| add(tcm, x, (columns, &part), places, sums))?;
            let mut stage = tcm.stage(&mut self.y, elements)?;
            for (to, sum) in stage.iter_mut().zip(&*self.buffer) {
                *to = T::from_f32(*sum);
            }
            stage.store()?;
        }
        Ok(())
    }

    /// Writes rows that nothing is added to.
    fn skip(&mut self, rows: Range<usize>) -> OpResult {
        let (tcm, elements) = (self.core.tcm(), rows.start * self.columns..rows.end * self.columns);
        let Some(base) = self.base else { return tcm.fill(&mut self.y, elements, T::ZERO) };
        // Where the room is that the sums leave.
        Chunks::of(elements, tcm.tile_len::<T>(1).max(1))
            .try_for_each(|part| tcm.update(base, &mut self.y, part)?.store())
    }
}

/// Adds the rows of x in `places` to the sums of some columns, of all that there are.
#[inline(always)]
fn add<T: Float, S: Float>(
    tcm: gpsimd::Tcm<'_>,
    x: &Input<'_, T>,
    (columns, part): (usize, &Range<usize>),
    places: &[i32],
    sums: &mut [S],
) -> OpResult {
    for place in places {
        let start = *place as usize * columns + part.start;
        let x = tcm.load(x, start..start + part.len())?;
        for (sum, x) in sums.iter_mut().zip(&*x) {
            *sum = S::from_f32(sum.to_f32() + x.to_f32());
        }
    }
    Ok(())
}
