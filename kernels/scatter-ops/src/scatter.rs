//! Elements of rows set at indices.

use gpsimd::prelude::*;

use crate::rows::{Rows, each, expect_rows_of, refuse_indices};

fn like_x(x: &TensorType, index: &TensorType, src: &TensorType) -> Result<TensorType, ShapeError> {
    src.expect_shape_of(index)?;
    like_filled(x, index)
}

fn like_filled(x: &TensorType, index: &TensorType) -> Result<TensorType, ShapeError> {
    expect_rows_of(index, x)?;
    Ok(*x)
}

/// y = x, and y\[.., index\[.., j\]\] = src\[.., j\], along the last dimension, as `torch.scatter(x, -1, index, src)`. Of the same
/// indices in a row the last wins.
///
/// x: `[.., N]`, any element type; index: `[.., K]`, i32, each from 0 to N - 1; src: like index; y: like x. As in PyTorch the
/// gradient of `src` is that of indices that differ: also that of an element that does not win.
#[custom_op(
    shape = like_x,
    gradient(x) = scatter_fill(grad, index, 0.0),
    gradient(src) = gather(grad, index) except(overwritten(index), "as PyTorch's, it is that of indices that differ"),
)]
pub fn scatter<T: Number>(core: &Core, x: Input<T>, index: Input<i32>, src: Input<T>, mut y: Output<T>) -> OpResult {
    if x.is_empty() {
        return refuse_indices(core, &index);
    }
    let tcm = core.tcm();
    let rows = Rows::of(core, &x, &index, size_of::<T>());
    let mut places = tcm.buffer::<i32>(rows.at_a_time)?;
    for tile in rows.tiles(core) {
        let mut stage = tcm.update(&x, &mut y, rows.elements(&tile))?;
        for part in rows.parts(&tile) {
            let index = rows.load(core, &index, (&tile, part.clone()))?;
            let src = tcm.load(&src, part)?;
            each(rows, &tile, &index, &mut places, |place, number| {
                if let (Some(to), Some(from)) = (stage.get_mut(place), src.get(number)) {
                    *to = *from;
                }
            });
        }
        stage.store()?;
    }
    Ok(())
}

/// y = x, and y\[.., index\[.., j\]\] = value, along the last dimension, as `torch.scatter(x, -1, index, value)`.
///
/// x: `[.., N]`, any element type; index: `[.., K]`, i32, each from 0 to N - 1; value: rounded to the element type; y: like x.
#[custom_op(shape = like_filled, gradient(x) = scatter_fill(grad, index, 0.0))]
pub fn scatter_fill<T: Number>(core: &Core, x: Input<T>, index: Input<i32>, value: f32, mut y: Output<T>) -> OpResult {
    if x.is_empty() {
        return refuse_indices(core, &index);
    }
    let (tcm, value) = (core.tcm(), T::from_f32(value));
    let rows = Rows::of(core, &x, &index, size_of::<T>());
    let mut places = tcm.buffer::<i32>(rows.at_a_time)?;
    for tile in rows.tiles(core) {
        let mut stage = tcm.update(&x, &mut y, rows.elements(&tile))?;
        for part in rows.parts(&tile) {
            let index = rows.load(core, &index, (&tile, part))?;
            each(rows, &tile, &index, &mut places, |place, _| {
                if let Some(to) = stage.get_mut(place) {
                    *to = value;
                }
            });
        }
        stage.store()?;
    }
    Ok(())
}
