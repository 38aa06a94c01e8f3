//! The elements that a mask selects.

use gpsimd::prelude::*;

use crate::parts::{self, Found};

fn selected_of_parts(x: &TensorType, mask: &TensorType) -> Result<TensorType, ShapeError> {
    mask.expect_shape_of(x)?;
    parts::counts(x)
}

fn selected(x: &TensorType, _mask: &TensorType, _counts: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    Ok([x.with_shape(&[x.elements_in(0..x.rank())])?, x.with_dtype::<i32>().with_shape(&[1])?])
}

fn gradients_of_parts(dvalues: &TensorType, mask: &TensorType) -> Result<TensorType, ShapeError> {
    dvalues.expect_rank(1)?.expect_dim(0, mask.elements_in(0..mask.rank()))?;
    parts::counts(mask)
}

fn like_mask(dvalues: &TensorType, mask: &TensorType, _counts: &TensorType) -> Result<TensorType, ShapeError> {
    dvalues.with_shape(&mask.shape())
}

/// The elements of x where the mask is not 0, in the order of their rows, as if x had one dimension; 0 behind them; and their
/// number.
///
/// x: any shape, any element type, of S elements in all; mask: like x, u8; values: `[S]`, like x; count: `[1]`, i32.
#[custom_op(
    shape = selected_of_parts,
    then = masked_select_of_parts(x, mask, counts),
    gradient(x) = masked_select_backward(grad(values), mask),
)]
#[expect(unused_variables, reason = "x is the second phase's")]
pub fn masked_select<T: Number>(core: &Core, x: Input<T>, mask: Input<u8>, counts: Output<i32>) -> OpResult {
    count(core, &mask, counts)
}

/// The second phase of `masked_select`.
///
/// x and mask: as there; counts: of the elements of every part that are selected.
#[custom_op(shape = selected)]
pub fn masked_select_of_parts<T: Number>(
    core: &Core,
    x: Input<T>,
    mask: Input<u8>,
    counts: Input<i32>,
    mut values: Output<T>,
    mut count: Output<i32>,
) -> OpResult {
    let (tcm, found) = (core.tcm(), Found::of(core, &counts)?);
    found.write_total(core, &mut count)?;
    found.pad(core, &mut values, T::ZERO)?;
    // Numbers, the mask, and the elements before and after.
    let most = tcm.left().saturating_sub(4 * 64) / (size_of::<i32>() + 1 + 2 * size_of::<T>());
    let mut places = tcm.buffer::<i32>(most)?;
    let mut next = found.before;
    for range in Chunks::of(parts::elements(found.parts, x.len()), most) {
        let (x, mask) = (tcm.load(&x, range.clone())?, tcm.load(&mask, range)?);
        let count = lanes::compact(&mask, 0, |mask| mask != 0, &mut places).found;
        let mut stage = tcm.stage(&mut values, next..next + count)?;
        lanes::gather(&x, 0, &places[..count], &mut stage);
        stage.store()?;
        next += count;
    }
    Ok(())
}

/// dx = dvalues, one after the other, where the mask is not 0, and 0 elsewhere: the gradient of `masked_select`.
///
/// dvalues: `[S]`, f32, bf16 or f16; mask: of S elements; dx: `[..]` as mask.
#[custom_op(shape = gradients_of_parts, then = masked_select_gradients(dvalues, mask, counts))]
#[expect(unused_variables, reason = "dvalues are the second phase's")]
pub fn masked_select_backward<T: Float>(
    core: &Core,
    dvalues: Input<T>,
    mask: Input<u8>,
    counts: Output<i32>,
) -> OpResult {
    count(core, &mask, counts)
}

/// The second phase of `masked_select_backward`.
///
/// dvalues and mask: as there; counts: of the elements of every part that are selected.
#[custom_op(shape = like_mask)]
pub fn masked_select_gradients<T: Float>(
    core: &Core,
    dvalues: Input<T>,
    mask: Input<u8>,
    counts: Input<i32>,
    mut dx: Output<T>,
) -> OpResult {
    let (tcm, found) = (core.tcm(), Found::of(core, &counts)?);
    let most = tcm.left().saturating_sub(4 * 64) / (size_of::<i32>() + 1 + 2 * size_of::<T>());
    let mut places = tcm.buffer::<i32>(most)?;
    let mut next = found.before;
    for range in Chunks::of(parts::elements(found.parts, mask.len()), most) {
        let mask = tcm.load(&mask, range.clone())?;
        let count = lanes::compact(&mask, 0, |mask| mask != 0, &mut places).found;
        let dvalues = tcm.load(&dvalues, next..next + count)?;
        let mut stage = tcm.stage_filled(&mut dx, range, T::ZERO)?;
        for (place, dvalue) in places.iter().zip(&*dvalues) {
            if let Some(to) = stage.get_mut(*place as usize) {
                *to = *dvalue;
            }
        }
        stage.store()?;
        next += count;
    }
    Ok(())
}

/// Counts what is selected in this core's parts.
fn count(core: &Core, mask: &Input<'_, u8>, mut counts: Output<'_, i32>) -> OpResult {
    for range in core.share(counts.len(), 1).chunks(LANES) {
        let mut stage = core.tcm().stage(&mut counts, range.clone())?;
        for (to, part) in stage.iter_mut().zip(range) {
            *to = 0;
            for range in Chunks::of(parts::elements(part..part + 1, mask.len()), core.tcm().tile_len::<u8>(1)) {
                let mask = core.tcm().load(mask, range)?;
                *to += mask.iter().map(|mask| i32::from(*mask != 0)).sum::<i32>();
            }
        }
        stage.store()?;
    }
    Ok(())
}
