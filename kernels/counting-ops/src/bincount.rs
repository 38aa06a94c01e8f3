//! How often each index is there.

use gpsimd::prelude::*;

fn counts_of_parts(x: &TensorType, length: usize) -> Result<TensorType, ShapeError> {
    let len = x.elements_in(0..x.rank());
    if len > i32::MAX as usize || length > i32::MAX as usize {
        return Err(ShapeError::new("there are more than 2^31 - 1 indices or counts, and both are i32"));
    }
    x.with_shape(&[PARTS, length])
}

fn counts(of_parts: &TensorType) -> Result<TensorType, ShapeError> {
    of_parts.expect_rank(2)?.expect_dim(0, PARTS)?.with_shape(&[of_parts.dim(1)])
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
    // Half of the pool each for counts and for indices.
    let most = tcm.tile_len::<i32>(2).max(LANES);
    for (part, own) in core.parts(x.len()) {
        for counts in Chunks::of(0..length, most) {
            let mut stage =
                tcm.stage_filled(&mut of_parts, part * length + counts.start..part * length + counts.end, 0)?;
            for range in Chunks::of(own.clone(), most) {
                // An index is verified once, where the first counts are.
                let x = if counts.start == 0 { tcm.load_indices(&x, range, length)? } else { tcm.load(&x, range)? };
                for x in &*x {
                    if let Some(count) = stage.get_mut((*x as usize).wrapping_sub(counts.start)) {
                        *count += 1;
                    }
                }
            }
            stage.store()?;
        }
    }
    Ok(())
}

/// The second phase of `bincount`: the sums of the counts of all parts.
///
/// `of_parts`: `[8, length]`, i32; counts: `[length]`, int64.
#[custom_op(shape = counts, returns(counts = i64))]
pub fn sum_of_parts(core: &Core, of_parts: Input<i32>, counts: Output<i32>) -> OpResult {
    core.combine(&of_parts, counts, i32::wrapping_add, |count| count)
}
