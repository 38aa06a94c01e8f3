//! [`Walk`]: the tensors of a walk with their TCM, and how large its tiles are.

use core::marker::PhantomData;
use core::ops::Range;
use core::panic::Location;

use gpsimd_abi::{self as abi, DType, TCM_ALIGN};

use super::broadcast::Extent;
use super::destination::Destination;
use super::layout::Layout;
use super::operands::Operands;
use super::outputs::Outputs;
use super::source::Source;
use crate::LANES;
use crate::device::Device;
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::tcm::Reservation;

/// What is in TCM at a time: some rows, or some columns of one row.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) row: usize,
    pub(super) rows: usize,
    pub(super) column: usize,
    pub(super) columns: usize,
}

/// How the rows of a walk fit in TCM.
#[derive(Clone, Copy)]
pub(super) enum Fit {
    /// As many whole rows at a time.
    Rows(usize),
    /// As many columns of a row at a time.
    Columns(usize),
}

/// Bytes of TCM of `len` elements, in whole vectors.
pub(super) fn slot_bytes(dtype: DType, len: usize) -> usize {
    len.saturating_mul(dtype.bytes()).checked_next_multiple_of(TCM_ALIGN).unwrap_or(usize::MAX)
}

/// The tensors of a walk.
pub(super) struct Walk<'l, I: Operands<'l>, O: Outputs<'l>> {
    pub(super) plan: Plan<'l>,
    sources: I::Sources,
    destinations: O::Destinations,
    kinds: PhantomData<(I, O)>,
}

/// What a walk is about, whatever its tensors.
pub(super) struct Plan<'l> {
    pub(super) core: &'l Core,
    pub(super) extent: Extent<'l>,
    /// Bytes of TCM for every column beside those of the tensors: what a row keeps.
    kept_bytes: usize,
    /// Whether the outputs are written where they are, without DMAs.
    is_direct: bool,
    at: &'static Location<'static>,
}

impl<'l> Plan<'l> {
    /// Verifies the tensors against each other.
    #[inline(never)]
    fn prepare<const APART: bool>(&self, sources: &mut [Source<'l>], destinations: &[Destination<'l>]) -> OpResult {
        for destination in destinations {
            destination.verify(self.core, destinations[0].hbm.len, self.at)?;
        }
        if destinations.is_empty() && matches!(sources.first(), Some(Source { layout: Layout::Random(_), .. })) {
            let message =
                "the first operand of a reduction, whose rows are counted, is a tensor: name random bits after it";
            self.core.device.fail(abi::FAILURE_REFUSED, message, self.at);
            return Err(OpError::Reported);
        }
        for (index, source) in sources.iter_mut().enumerate() {
            let output = destinations.get(index).map(|output| output.dtype);
            source.prepare::<APART>(self.core, &self.extent, output, index, self.at)?;
        }
        Ok(())
    }

    /// Bytes of TCM that an area takes.
    #[inline(never)]
    fn tcm_bytes<const APART: bool>(
        &self,
        sources: &[Source<'l>],
        destinations: &[Destination<'l>],
        rows: usize,
        columns: usize,
    ) -> usize {
        let kept = slot_bytes(DType::U8, columns.saturating_mul(self.kept_bytes));
        let sources = sources.iter().map(|source| source.tcm_bytes::<APART>(rows, columns));
        let destinations = destinations.iter().map(|destination| destination.tcm_bytes(rows, columns));
        sources.chain(destinations).fold(kept, usize::saturating_add)
    }

    #[inline(never)]
    fn fit<const APART: bool>(
        &self,
        sources: &[Source<'l>],
        destinations: &[Destination<'l>],
        rows: usize,
        columns: usize,
    ) -> Fit {
        let bytes = |rows, columns| self.tcm_bytes::<APART>(sources, destinations, rows, columns);
        let left = self.core.tcm().left();
        let one = bytes(1, columns);
        if one <= left {
            // Exact: 32 rows of any element are whole vectors.
            let more = bytes(33, columns) - one;
            let mut fitting = rows.min(1 + (left - one) * 32 / more.max(1));
            while fitting > 1 && bytes(fitting, columns) > left {
                fitting -= 1;
            }
            return Fit::Rows(fitting.max(1));
        }
        // Beside what each column takes.
        let fixed = if APART { bytes(1, 0) } else { 0 };
        let vectors = left.saturating_sub(fixed) / (bytes(1, 2 * LANES) - fixed).max(1);
        // Where not even one vector of each fits, taking it will say so.
        let room = (vectors * 2 * LANES).max(LANES);
        // In parts of about the same length.
        let parts = columns.div_ceil(room);
        Fit::Columns(columns.div_ceil(parts).next_multiple_of(LANES).min(room))
    }

    #[inline(never)]
    fn take<const APART: bool>(
        &self,
        sources: &mut [Source<'l>],
        destinations: &mut [Destination<'l>],
        rows: usize,
        columns: usize,
    ) -> OpResult<Reservation<'l>> {
        let reservation =
            Reservation::take_bytes(self.core, self.tcm_bytes::<APART>(sources, destinations, rows, columns), self.at)?;
        // What is kept comes first.
        let mut next = reservation.tcm.wrapping_add(slot_bytes(DType::U8, columns * self.kept_bytes));
        for destination in destinations.iter_mut() {
            destination.tcm = next;
            next = next.wrapping_add(destination.tcm_bytes(rows, columns));
        }
        for (index, source) in sources.iter_mut().enumerate() {
            let shared = destinations.get(index).filter(|_| source.is_shared).map(|destination| destination.tcm);
            source.place::<APART>(next, shared, rows, columns);
            next = next.wrapping_add(source.tcm_bytes::<APART>(rows, columns));
        }
        Ok(reservation)
    }

    fn claim(
        &mut self,
        sources: &[Source<'l>],
        destinations: &mut [Destination<'l>],
        start: usize,
        end: usize,
    ) -> OpResult {
        let mut is_direct = !sources.iter().zip(&*destinations).any(|(source, to)| source.is_entangled(&to.hbm));
        for destination in destinations {
            is_direct = is_direct && destination.claim(start, end - start, self.at)?;
        }
        self.is_direct = is_direct;
        Ok(())
    }

    #[inline(never)]
    fn load<const APART: bool>(&self, sources: &mut [Source<'l>], area: &Area) -> OpResult {
        for source in sources {
            source.load::<APART>(self.core, &self.extent, area, self.is_direct, self.at)?;
        }
        Ok(())
    }

    /// First element of an area in the outputs.
    fn start(&self, area: &Area) -> usize {
        area.row * self.extent.columns + area.column
    }

    /// Index in the outputs of the first element of row `row` of an area.
    pub(super) fn first_of_row(&self, area: &Area, row: usize) -> u64 {
        (self.start(area) + row * area.columns) as u64
    }

    #[inline(never)]
    fn store(&self, destinations: &[Destination<'l>], area: &Area) -> OpResult {
        if self.is_direct {
            return Ok(());
        }
        for destination in destinations {
            destination.store(self.core, self.start(area), area, self.at)?;
        }
        Ok(())
    }
}

impl<'l, I: Operands<'l>, O: Outputs<'l>> Walk<'l, I, O> {
    #[inline(always)]
    pub(super) fn new(
        core: &'l Core,
        operands: I,
        outputs: O,
        kept_bytes: usize,
        at: &'static Location<'static>,
    ) -> Self {
        let (sources, destinations) = (operands.sources(), outputs.destinations());
        let extent = match destinations.as_ref().first() {
            Some(output) => Extent::of(output.hbm),
            None if I::ARE_APART => sources.as_ref()[0].extent(),
            None => Extent::of(sources.as_ref()[0].hbm),
        };
        let plan = Plan { core, extent, kept_bytes, is_direct: false, at };
        Self { plan, sources, destinations, kinds: PhantomData }
    }

    /// Verifies the tensors against each other. Apart from `new`, which can so make the walk where it stays.
    #[inline(always)]
    pub(super) fn prepare(&mut self) -> OpResult {
        let (sources, destinations) = (self.sources.as_mut(), self.destinations.as_ref());
        if I::ARE_APART {
            self.plan.prepare::<true>(sources, destinations)
        } else {
            self.plan.prepare::<false>(sources, destinations)
        }
    }

    /// Whether all operands have the walk's shape, element after element.
    #[inline(always)]
    pub(super) fn is_flat(&self) -> bool {
        !I::ARE_APART && self.sources.as_ref().iter().all(|source| source.map.is_full)
    }

    /// How much of `rows` rows of `columns` columns fits at a time in the rest of the pool.
    #[inline(always)]
    pub(super) fn fit(&self, rows: usize, columns: usize) -> Fit {
        let (sources, destinations) = (self.sources.as_ref(), self.destinations.as_ref());
        if I::ARE_APART {
            self.plan.fit::<true>(sources, destinations, rows, columns)
        } else {
            self.plan.fit::<false>(sources, destinations, rows, columns)
        }
    }

    /// Takes the TCM for areas of this size. It begins with what is kept.
    #[inline(always)]
    pub(super) fn take(&mut self, rows: usize, columns: usize) -> OpResult<Reservation<'l>> {
        let (sources, destinations) = (self.sources.as_mut(), self.destinations.as_mut());
        if I::ARE_APART {
            self.plan.take::<true>(sources, destinations, rows, columns)
        } else {
            self.plan.take::<false>(sources, destinations, rows, columns)
        }
    }

    /// Claims elements of the outputs for this core.
    #[inline(always)]
    pub(super) fn claim(&mut self, start: usize, end: usize) -> OpResult {
        if Device::HAS_DIRECT {
            self.plan.claim(self.sources.as_ref(), self.destinations.as_mut(), start, end)?;
        }
        Ok(())
    }

    /// Whether all tensors are reached where they are: outputs claimed, and not in the place of an operand.
    #[inline(always)]
    pub(super) fn copies_nothing(&self) -> bool {
        // A walk without outputs has claimed nothing that would say so.
        Device::HAS_DIRECT
            && self.plan.is_direct
            && !self.plan.core.device.is_in_place()
            && self
                .sources
                .as_ref()
                .iter()
                .all(|source| source.is_reached() && (!I::ARE_APART || source.has_direct_indices()))
    }

    /// Rows from `row` on, at most `rows`, that one load of each operand brings.
    #[inline(always)]
    pub(super) fn rows_from(&self, row: usize, rows: usize) -> usize {
        self.sources.as_ref().iter().fold(rows, |rows, source| rows.min(source.map.rows_from(row)))
    }

    /// Brings the operands of an area.
    #[inline(always)]
    pub(super) fn load(&mut self, area: &Area) -> OpResult {
        let sources = self.sources.as_mut();
        if I::ARE_APART { self.plan.load::<true>(sources, area) } else { self.plan.load::<false>(sources, area) }?;
        if I::ARE_RANDOM {
            for source in sources {
                source.fill_random(&self.plan.extent, area);
            }
        }
        Ok(())
    }

    /// Sends the outputs of an area.
    #[inline(always)]
    pub(super) fn store(&self, area: &Area) -> OpResult {
        self.plan.store(self.destinations.as_ref(), area)
    }

    /// The operands' elements in row `row` of the area that was loaded.
    #[inline(always)]
    pub(super) fn row(&self, area: &Area, row: usize) -> I::Pointers {
        I::pointers(self.sources.as_ref(), row, area.columns)
    }

    /// Writes every element of row `row` of the area that was loaded: what `f` says of its number in the row's part and
    /// the operands' elements.
    #[inline(always)]
    pub(super) fn write(&self, area: &Area, row: usize, f: impl FnMut(usize, I::Elements) -> O::Elements) {
        self.write_part(area, row, 0..area.columns, f);
    }

    /// As [`write`](Self::write), of the columns in `part`: a row is written in parts from the first to the last.
    #[inline(always)]
    pub(super) fn write_part(
        &self,
        area: &Area,
        row: usize,
        part: Range<usize>,
        mut f: impl FnMut(usize, I::Elements) -> O::Elements,
    ) {
        let (sources, destinations) = (self.sources.as_ref(), self.destinations.as_ref());
        let is_direct = Device::HAS_DIRECT && self.plan.is_direct;
        let to = O::pointers(destinations, self.plan.start(area), row, area.columns, is_direct);
        let from = I::pointers_in::<O>(sources, to, row, area.columns);
        // In TCM operands are where the outputs are that they share it with.
        if is_direct {
            let apart = I::pointers(sources, row, area.columns);
            let (in_place, shared) = I::in_place::<O>(apart, to);
            if in_place == 0 {
                for i in part {
                    // SAFETY: all pointers lead to the `columns` elements of this row of the area: operands that `load`
                    // found inside their tensors, outputs that this core has claimed. No operand is where an output is.
                    unsafe { O::write(to, i, f(i, I::read(apart, i))) };
                }
                return;
            }
            if in_place < shared && part.start == 0 {
                // SAFETY: as above.
                unsafe { I::bring::<O>(apart, to, area.columns) };
            }
        }
        for i in part {
            // SAFETY: as above, or in the TCM of this walk, which has room for the area. An operand where an output is
            // is read before it is written.
            unsafe { O::write(to, i, f(i, I::read(from, i))) };
        }
    }
}
