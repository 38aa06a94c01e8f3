//! [`Walk`]: the tensors of a walk with their TCM, and how large its tiles are.

use core::marker::PhantomData;
use core::ops::Range;
use core::panic::Location;

use super::broadcast::Extent;
use super::operands::{Operands, Sources, slot_bytes};
use super::outputs::{Destinations, Outputs};
use crate::LANES;
use crate::core::Core;
use crate::device::Device;
use crate::error::OpResult;
use crate::tcm::Memory;

/// What is in TCM at a time: some rows, or some columns of one row.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Area {
    pub(super) row: usize,
    pub(super) rows: usize,
    pub(super) column: usize,
    pub(super) columns: usize,
}

/// The tensors of a walk, and where in TCM and HBM they are.
pub(super) struct Walk<'l, I: Operands<'l>, O: Outputs<'l>> {
    pub(super) core: &'l Core,
    pub(super) extent: Extent<'l>,
    pub(super) sources: I::Sources,
    pub(super) destinations: O::Destinations,
    /// Whether the outputs are written where they are, without DMAs.
    pub(super) is_direct: bool,
    pub(super) at: &'static Location<'static>,
    /// Bytes of TCM for every column beside those of the tensors: what a row keeps.
    pub(super) kept_bytes: usize,
    kinds: PhantomData<(I, O)>,
}

/// How the rows of a walk fit in TCM.
#[derive(Clone, Copy)]
pub(super) enum Fit {
    /// As many whole rows at a time.
    Rows(usize),
    /// As many columns of a row at a time.
    Columns(usize),
}

impl<'l, I: Operands<'l>, O: Outputs<'l>> Walk<'l, I, O> {
    #[inline(always)]
    pub(super) fn new(core: &'l Core, operands: I, outputs: O, at: &'static Location<'static>) -> OpResult<Self> {
        let destinations = outputs.destinations();
        destinations.verify(core, at)?;
        let extent = Extent::of(destinations.first());
        let sources = operands.sources(core, &extent, O::Destinations::dtypes().as_ref(), at)?;
        Ok(Self { core, extent, sources, destinations, is_direct: false, at, kept_bytes: 0, kinds: PhantomData })
    }

    /// Bytes of TCM that an area takes.
    #[inline(always)]
    fn tcm_bytes(&self, rows: usize, columns: usize) -> usize {
        let kept = slot_bytes::<u8>(columns.saturating_mul(self.kept_bytes));
        let outputs = self.destinations.tcm_bytes(rows, columns);
        outputs.saturating_add(self.sources.tcm_bytes(rows, columns)).saturating_add(kept)
    }

    /// How much of `rows` rows of `columns` columns fits at a time in what is left of the pool.
    #[inline(always)]
    pub(super) fn fit(&self, rows: usize, columns: usize) -> Fit {
        let left = self.core.tcm().left();
        let one = self.tcm_bytes(1, columns);
        if one <= left {
            // Exact: 32 rows of any element are whole vectors.
            let more = self.tcm_bytes(33, columns) - one;
            let mut fitting = rows.min(1 + (left - one) * 32 / more.max(1));
            while fitting > 1 && self.tcm_bytes(fitting, columns) > left {
                fitting -= 1;
            }
            return Fit::Rows(fitting.max(1));
        }
        let vectors = left / self.tcm_bytes(1, 2 * LANES).max(1);
        // Where not even one vector of each fits, taking it will say so.
        let room = (vectors * 2 * LANES).max(LANES);
        // In parts of about the same length.
        let parts = columns.div_ceil(room);
        Fit::Columns(columns.div_ceil(parts).next_multiple_of(LANES).min(room))
    }

    /// Takes the TCM for areas of this size; the kept values' part of it.
    #[inline(always)]
    pub(super) fn take(&mut self, rows: usize, columns: usize) -> OpResult<(Memory<'l>, *mut u8)> {
        let memory = Memory::take_bytes(self.core, self.tcm_bytes(rows, columns), self.at)?;
        let kept_bytes = slot_bytes::<u8>(columns * self.kept_bytes);
        let end = self.destinations.place(memory.tcm.wrapping_add(kept_bytes), rows, columns);
        self.sources.place(end, self.destinations.slots().as_ref(), rows, columns);
        let kept = memory.tcm;
        Ok((memory, kept))
    }

    /// Claims the elements in `range` of the outputs for this core.
    #[inline(always)]
    pub(super) fn claim(&mut self, range: Range<usize>) -> OpResult {
        let is_entangled = self.sources.are_entangled(self.destinations.starts().as_ref());
        if Device::HAS_DIRECT && !is_entangled && self.destinations.first().direct::<u8>(&(0..0)).is_some() {
            self.destinations.claim(range.start, range.len(), self.at)?;
            self.is_direct = true;
        }
        Ok(())
    }

    /// Brings the operands of an area.
    #[inline(always)]
    pub(super) fn load(&mut self, area: &Area) -> OpResult {
        self.sources.load(self.core, &self.extent, area, self.is_direct, self.at)
    }

    /// First element of an area in the outputs.
    #[inline(always)]
    fn start(&self, area: &Area) -> usize {
        area.row * self.extent.columns + area.column
    }

    /// Sends the outputs of an area.
    #[inline(always)]
    pub(super) fn store(&self, area: &Area) -> OpResult {
        if self.is_direct {
            return Ok(());
        }
        self.destinations.store(self.core, self.start(area), area, self.at)
    }

    /// The operands' elements in row `row` of the area that was loaded.
    #[inline(always)]
    pub(super) fn row(&self, area: &Area, row: usize) -> <I::Sources as Sources>::Pointers {
        self.sources.pointers(row, area.columns)
    }

    /// Writes every element of row `row` of the area that was loaded: what `f` says of its number in the row's part and the
    /// operands' elements.
    #[inline(always)]
    pub(super) fn write(&self, area: &Area, row: usize, mut f: impl FnMut(usize, I::Elements) -> O::Elements) {
        let to = self.destinations.pointers(self.start(area), row, area.columns, self.is_direct);
        let outputs = O::Destinations::addresses(to);
        let from = self.sources.pointers(row, area.columns);
        let from_outputs = self.sources.pointers_in(outputs.as_ref(), row, area.columns);
        // In TCM operands are where the outputs are that they share it with.
        if Device::HAS_DIRECT && self.is_direct {
            let (in_place, shared) = self.sources.in_place(outputs.as_ref(), row, area.columns);
            if in_place == 0 {
                for i in 0..area.columns {
                    // SAFETY: all pointers lead to the `columns` elements of this row of the area: operands that `load`
                    // found inside their tensors, outputs that this core has claimed. No operand is where an output is.
                    unsafe { O::Destinations::write(to, i, f(i, I::Sources::read(from, i))) };
                }
                return;
            }
            if in_place < shared {
                // SAFETY: as above.
                unsafe { self.sources.bring(outputs.as_ref(), row, area.columns) };
            }
        }
        for i in 0..area.columns {
            // SAFETY: as above, or in the TCM of this walk, which has room for the area. An operand where an output is is
            // read before it is written.
            unsafe { O::Destinations::write(to, i, f(i, I::Sources::read(from_outputs, i))) };
        }
    }
}
