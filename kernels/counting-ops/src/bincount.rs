//! How often each index is there.

use core::ops::Range;

use gpsimd::prelude::*;

/// Parts of the indices that are counted apart, of which each core has one where counts fit in TCM.
const PARTS: usize = 8;

fn counts_of_parts(x: &TensorType, length: usize) -> Result<TensorType, ShapeError> {
    let len = x.elements_in(0..x.rank());
    if len > i32::MAX as usize || length > i32::MAX as usize {
        return Err(ShapeError::new("there are more than 2^31 - 1 indices or counts, and both are i32"));
    }
    // No more counts than there are indices, or than are asked for: they are written and read once more.
    let parts = len.checked_div(length).unwrap_or(0).clamp(1, PARTS);
    x.with_shape(&[parts, length])
}

fn counts(of_parts: &TensorType) -> Result<TensorType, ShapeError> {
    of_parts.expect_rank(2)?.with_shape(&[of_parts.dim(1)])
}

/// How often each index from 0 to `length` - 1 is in x, as `torch.bincount`.
///
/// x: any shape, i32, each from 0 to `length` - 1; counts: `[length]`, int64. In two phases: this one counts what is in every
/// part of x.
#[custom_op(shape = counts_of_parts, then = sum_of_parts(of_parts))]
pub fn bincount(core: &Core, x: Input<i32>, length: usize, mut of_parts: Output<i32>) -> OpResult {
    let tcm = core.tcm();
    if length == 0 {
        return tcm.load_indices(&x, ..x.len().min(1), 0).map(drop);
    }
    let parts = of_parts.len() / length;
    // Half of the pool each for counts and for indices.
    let most = tcm.tile_len::<i32>(2).max(LANES);
    let blocks = length.div_ceil(most);
    for unit in core.share(parts * blocks, 1).range() {
        let (part, block) = (unit / blocks, unit % blocks);
        let (first, end) = (block * most, length.min((block + 1) * most));
        let mut stage = tcm.stage_filled(&mut of_parts, part * length + first..part * length + end, 0)?;
        for range in Chunks::of(elements(part, parts, x.len()), most) {
            // An index is verified once, where the first counts are.
            let x = if block == 0 { tcm.load_indices(&x, range, length)? } else { tcm.load(&x, range)? };
            for x in &*x {
                if let Some(count) = stage.get_mut((*x as usize).wrapping_sub(first)) {
                    *count += 1;
                }
            }
        }
        stage.store()?;
    }
    Ok(())
}

/// The elements of a part, of `len` in all.
fn elements(part: usize, parts: usize, len: usize) -> Range<usize> {
    let each = len.div_ceil(parts);
    (part * each).min(len)..((part + 1) * each).min(len)
}

/// The second phase of `bincount`: the sums of the counts of all parts.
///
/// `of_parts`: `[parts, length]`, i32; counts: `[length]`, int64.
#[custom_op(shape = counts, returns(counts = i64))]
pub fn sum_of_parts(core: &Core, of_parts: Input<i32>, mut counts: Output<i32>) -> OpResult {
    let (tcm, length) = (core.tcm(), counts.len());
    for range in core.share(length, LANES).chunks(tcm.tile_len::<i32>(2).max(LANES)) {
        let mut stage = tcm.stage_filled(&mut counts, range.clone(), 0)?;
        for part in 0..of_parts.dim(0) {
            let of_part = tcm.load(&of_parts, part * length + range.start..part * length + range.end)?;
            for (sum, count) in stage.iter_mut().zip(&*of_part) {
                *sum = sum.wrapping_add(*count);
            }
        }
        stage.store()?;
    }
    Ok(())
}
