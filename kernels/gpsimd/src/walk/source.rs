//! [`Source`]: an operand during a walk. Without its element type: all walks of a kernel image share this code.

use core::panic::Location;

use gpsimd_abi::DType;

use super::broadcast::{Extent, RowMap};
use super::layout::{Layout, Shaped};
use super::plan::{Area, slot_bytes};
use crate::device::Device;
use crate::engine_core::Core;
use crate::error::OpResult;
use crate::tcm::dma_load;
use crate::tensor::Hbm;

/// An operand during a walk.
#[doc(hidden)]
pub struct Source<'l> {
    pub(super) hbm: Hbm<'l>,
    pub(super) dtype: DType,
    pub(super) layout: Layout<'l>,
    pub(super) map: RowMap,
    /// Whether it shares the TCM of the output of its position.
    pub(super) is_shared: bool,
    /// Whether the rows of the area that was loaded last follow each other; otherwise they are all the same one.
    steps: bool,
    /// Whether the rows of the area that was loaded last are where they are in its tensor, apart.
    pub(super) is_apart: bool,
    /// Its TCM.
    pub(super) tcm: *mut u8,
    /// First element of the area that was loaded last; where its rows are apart, element `column` of the tensor.
    pub(super) data: *const u8,
    /// What is in its TCM: first element and number. Of rows at indices, what of the indices is at `indices`.
    pub(super) resident: (usize, usize),
    pub(super) indices: *const i32,
    /// Which row of the operand is the first of the area.
    pub(super) first: usize,
}

impl<'l> Source<'l> {
    #[inline(always)]
    pub(super) fn new(hbm: Hbm<'l>, dtype: DType, layout: Layout<'l>) -> Self {
        let nowhere = core::ptr::null_mut();
        Self {
            hbm,
            dtype,
            layout,
            map: RowMap::FULL,
            is_shared: false,
            steps: true,
            is_apart: false,
            tcm: nowhere,
            data: nowhere,
            resident: (0, 0),
            indices: nowhere.cast(),
            first: 0,
        }
    }

    /// Finds how the operand of number `index` is broadcast, where the output of its position has dtype `output`.
    ///
    /// # Errors
    /// When it cannot be.
    pub(super) fn prepare<const APART: bool>(
        &mut self,
        core: &Core,
        walk: &Extent<'_>,
        output: Option<DType>,
        index: usize,
        at: &'static Location<'static>,
    ) -> OpResult {
        if matches!(self.layout, Layout::Random(_)) {
            return Ok(());
        }
        self.map = if APART {
            self.verify_apart(at)?;
            RowMap::of(core, &walk.shaped(), &self.shaped(), index, at)?
        } else {
            RowMap::of(core, &walk.hbm, &self.hbm, index, at)?
        };
        self.steps = self.map.steps;
        self.is_shared = output == Some(self.dtype);
        Ok(())
    }

    /// As it meets the walk.
    pub(super) fn shaped(&self) -> Shaped<'_, 'l> {
        Shaped { tensor: &self.hbm, layout: self.layout }
    }

    /// Whether all of it is reached where it is.
    pub(super) fn is_reached(&self) -> bool {
        !matches!(self.layout, Layout::Random(_))
            && self.hbm.direct_bytes(0, self.hbm.len, self.dtype.bytes()).is_some()
    }

    /// Elements of an area of the walk.
    fn len(&self, rows: usize, columns: usize) -> usize {
        if self.map.steps { rows.saturating_mul(columns) } else { columns }
    }

    /// Bytes of TCM of its own that an area takes.
    pub(super) fn tcm_bytes<const APART: bool>(&self, rows: usize, columns: usize) -> usize {
        let own = if self.is_shared { 0 } else { slot_bytes(self.dtype, self.len(rows, columns)) };
        if APART { own.saturating_add(self.index_bytes(rows)) } else { own }
    }

    /// Gives it its TCM for such areas at `tcm`, or where the output is whose TCM it shares.
    pub(super) fn place<const APART: bool>(
        &mut self,
        tcm: *mut u8,
        shared: Option<*mut u8>,
        rows: usize,
        columns: usize,
    ) {
        self.tcm = shared.unwrap_or(tcm);
        if APART {
            let own = self.tcm_bytes::<false>(rows, columns);
            self.indices = tcm.wrapping_add(own).cast();
        }
    }

    /// Brings the elements of an area.
    pub(super) fn load<const APART: bool>(
        &mut self,
        core: &Core,
        walk: &Extent<'_>,
        area: &Area,
        is_direct: bool,
        at: &'static Location<'static>,
    ) -> OpResult {
        match self.layout {
            Layout::Dense => {}
            Layout::Random(_) => return Ok(()),
            _ if APART => return self.load_apart(core, walk, area, is_direct, at),
            _ => {}
        }
        let row = if APART {
            self.map.row(&walk.shaped(), &self.hbm, area.row)
        } else {
            self.map.row(&walk.hbm, &self.hbm, area.row)
        };
        let start = row * walk.columns + area.column;
        let len = self.len(area.rows, area.columns);
        // What is replaced in place is read before it is, or where it is.
        if Device::HAS_DIRECT
            && is_direct
            && (self.is_shared || self.hbm.output_in_place().is_none())
            && let Some(data) = self.hbm.direct_bytes(start, len, self.dtype.bytes())
        {
            (self.data, self.steps) = (data, self.map.steps);
            return Ok(());
        }
        self.data = self.tcm;
        // Results take the place of what is shared.
        if self.is_shared || self.resident != (start, len) {
            dma_load(core, &self.hbm, &(start..start + len), self.tcm, at)?;
            self.resident = (start, len);
        }
        self.repeat(area);
        Ok(())
    }

    /// Where results take the place of a row that is the same for all rows of the area, it is there for each of them.
    pub(super) fn repeat(&mut self, area: &Area) {
        if !self.is_shared || self.map.steps {
            return;
        }
        self.steps = true;
        let bytes = area.columns * self.dtype.bytes();
        for row in 1..area.rows {
            // SAFETY: the output's TCM has room for the rows of an area in elements of this size, and the first was loaded.
            unsafe { core::ptr::copy_nonoverlapping(self.tcm, self.tcm.wrapping_add(row * bytes), bytes) };
        }
    }

    /// Where row `row` of the area that was loaded last is; every row has `columns` there.
    #[inline(always)]
    pub(super) fn pointer<T>(&self, row: usize, columns: usize) -> *const T {
        let data = self.data.cast::<T>();
        if self.steps { data.wrapping_add(row * columns) } else { data }
    }

    /// Whether it is part of an output's storage, but not the part that `output`, that of its position, is.
    pub(super) fn is_entangled(&self, output: &Hbm<'_>) -> bool {
        let is_elsewhere = |tensor| (tensor, self.hbm.start) != (output.tensor, output.start);
        self.is_shared && self.hbm.output_in_place().is_some_and(is_elsewhere)
    }
}
