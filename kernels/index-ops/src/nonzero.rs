//! Which elements are not 0.

use gpsimd::prelude::*;

/// Elements that are counted together.
const PART: usize = 16 * 1024;

fn counts_of_parts(x: &TensorType) -> Result<TensorType, ShapeError> {
    let len = x.elements_in(0..x.rank());
    if len > i32::MAX as usize {
        return Err(ShapeError::new("x has more than 2^31 - 1 elements, and indices are i32"));
    }
    x.with_dtype::<i32>().with_shape(&[len.div_ceil(PART)])
}

fn indices_and_count(x: &TensorType, _counts: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    let x = x.with_dtype::<i32>();
    Ok([x.with_shape(&[x.elements_in(0..x.rank())])?, x.with_shape(&[1])?])
}

/// The indices of the elements that are not 0, in the order of their rows, as if x had one dimension; -1 behind them; and
/// their number. NaN is not 0.
///
/// x: any shape, any element type, of S elements in all; indices: `[S]`, i32; count: `[1]`, i32.
#[custom_op(shape = counts_of_parts, then = nonzero_of_parts(x, counts))]
pub fn nonzero<T: Number>(core: &Core, x: Input<T>, mut counts: Output<i32>) -> OpResult {
    for range in core.share(counts.len(), 1).chunks(LANES) {
        let mut stage = core.tcm().stage(&mut counts, range.clone())?;
        for (to, part) in stage.iter_mut().zip(range) {
            let mut lanes = Lanes::splat(0);
            for range in Chunks::of(elements(part..part + 1, x.len()), core.tcm().tile_len::<T>(1)) {
                let x = core.tcm().load(&x, range)?;
                lanes.fold(&x, |count: i32, x: T| count.wrapping_add(i32::from(x != T::ZERO)));
            }
            *to = lanes.wrapping_sum();
        }
        stage.store()?;
    }
    Ok(())
}

/// The second phase of `nonzero`: a core writes the indices of its parts behind those of all parts before, and its share of
/// what is behind all indices.
///
/// x: as there; counts: of the elements of every part that are not 0.
#[custom_op(shape = indices_and_count)]
pub fn nonzero_of_parts<T: Number>(
    core: &Core,
    x: Input<T>,
    counts: Input<i32>,
    mut indices: Output<i32>,
    mut count: Output<i32>,
) -> OpResult {
    let tcm = core.tcm();
    let own = core.share(counts.len(), 1).range();
    let (mut next, mut total) = (0, 0);
    {
        let (parts, mut counts) = (counts.len(), tcm.window(&counts)?);
        for part in 0..parts {
            if part == own.start {
                next = total;
            }
            total += counts.get(part)? as usize;
        }
    }
    if core.id() == 0 {
        let mut stage = tcm.stage(&mut count, ..)?;
        stage[0] = total as i32;
        stage.store()?;
    }
    let mut found = tcm.buffer::<i32>(tcm.tile_len::<i32>(2))?;
    for range in Chunks::of(elements(own, x.len()), found.len()) {
        let start = range.start as i32;
        let x = tcm.load(&x, range)?;
        let count = lanes::compact(&x, start, |x| x != T::ZERO, &mut found).found;
        found.store(&mut indices, next..next + count)?;
        next += count;
    }
    drop(found);
    let rest = core.share(indices.len() - total, LANES).range();
    tcm.fill(&mut indices, total + rest.start..total + rest.end, -1)
}

/// The elements of some parts.
fn elements(parts: core::ops::Range<usize>, len: usize) -> core::ops::Range<usize> {
    (parts.start * PART).min(len)..(parts.end * PART).min(len)
}
