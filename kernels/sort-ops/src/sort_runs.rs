//! Short runs, sorted in TCM.

use gpsimd::lanes::Order;
use gpsimd::prelude::*;

/// Elements of a run: with their keys and indices they fit in a quarter of the TCM pool.
pub const RUN: usize = 256;

fn with_indices(x: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    if x.expect_rank_at_least(1)?.last_dim() > i32::MAX as usize {
        return Err(ShapeError::new("the rows of x have more than 2^31 - 1 elements, and indices are i32"));
    }
    Ok([*x, x.with_dtype::<i32>()])
}

/// Sorts every 256 elements of a row by themselves, along the last dimension, as `torch.sort(stable=True)` does a whole row;
/// `indices` are where in the row the elements were. NaN is greater than infinity, and -0.0 is equal to 0.0.
///
/// x: `[.., N]`, any element type; values: like x; indices: like x, i32.
#[custom_op(shape = with_indices)]
pub fn sort_runs<T: Number>(
    core: &Core,
    x: Input<T>,
    descending: bool,
    mut values: Output<T>,
    mut indices: Output<i32>,
) -> OpResult {
    if x.is_empty() {
        return Ok(());
    }
    let len = x.shape().last().copied().unwrap_or(1);
    let (per_row, most) = (len.div_ceil(RUN), len.min(RUN).next_power_of_two().max(2 * LANES));
    let (order, last) = if descending { (Order::Descending, i32::MIN) } else { (Order::Ascending, i32::MAX) };
    let tcm = core.tcm();
    let (mut keys, mut places) = (tcm.buffer::<i32>(most)?, tcm.buffer::<i32>(most)?);
    for run in core.share(x.len() / len * per_row, 1).range() {
        let first = run % per_row * RUN;
        let start = run / per_row * len + first;
        let range = start..start + (len - first).min(RUN);
        let x = tcm.load(&x, range.clone())?;
        let sorted = x.len().next_power_of_two().max(2 * LANES);
        let (keys, of_keys) = (&mut keys[..sorted], &mut places[..sorted]);
        keys[x.len()..].fill(last);
        of_keys[x.len()..].fill(i32::MAX);
        for (i, ((key, place), x)) in keys.iter_mut().zip(&mut *of_keys).zip(&*x).enumerate() {
            *key = x.widen().key();
            *place = first as i32 + i as i32;
        }
        lanes::sort(keys, of_keys, order);
        let mut stage = tcm.stage(&mut values, range.clone())?;
        lanes::gather(&x, first as i32, &of_keys[..x.len()], &mut stage);
        stage.store()?;
        places.store(&mut indices, range)?;
    }
    Ok(())
}
