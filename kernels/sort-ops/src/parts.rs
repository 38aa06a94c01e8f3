//! What is found in parts of a tensor: so many in each, counted in a first phase, so that in the second every core knows where
//! what it finds goes.

use core::ops::Range;

use gpsimd::prelude::*;

/// Elements that are counted together.
const PART: usize = 16 * 1024;

/// A count for every part of `x`.
pub(crate) fn counts(x: &TensorType) -> Result<TensorType, ShapeError> {
    let len = x.elements_in(0..x.rank());
    if len > i32::MAX as usize {
        return Err(ShapeError::new("there are more than 2^31 - 1 elements, and counts are i32"));
    }
    x.with_dtype::<i32>().with_shape(&[len.div_ceil(PART)])
}

/// The elements of some parts, of `len`.
pub(crate) fn elements(parts: Range<usize>, len: usize) -> Range<usize> {
    (parts.start * PART).min(len)..(parts.end * PART).min(len)
}

/// What the counts of all parts say to a core.
pub(crate) struct Found {
    /// The core's parts.
    pub(crate) parts: Range<usize>,
    /// What is in all parts before.
    pub(crate) before: usize,
    pub(crate) total: usize,
}

impl Found {
    pub(crate) fn of(core: &Core, counts: &Input<'_, i32>) -> OpResult<Self> {
        let parts = core.share(counts.len(), 1).range();
        let mut window = core.tcm().window(counts)?;
        let (mut before, mut total) = (0, 0);
        for part in 0..counts.len() {
            if part == parts.start {
                before = total;
            }
            total += window.get(part)? as usize;
        }
        Ok(Self { parts, before, total })
    }

    /// Core 0 writes what there is in all.
    pub(crate) fn write_total(&self, core: &Core, count: &mut Output<'_, i32>) -> OpResult {
        if core.id() == 0 { core.tcm().fill(count, .., self.total as i32) } else { Ok(()) }
    }

    /// Fills this core's share of what is behind all that was found.
    pub(crate) fn pad<T: Element>(&self, core: &Core, output: &mut Output<'_, T>, value: T) -> OpResult {
        let share = core.share(output.len() - self.total, LANES).range();
        core.tcm().fill(output, self.total + share.start..self.total + share.end, value)
    }
}
