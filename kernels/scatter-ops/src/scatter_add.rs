//! Elements added to rows at indices.

use gpsimd::prelude::*;

use crate::rows::{Part, Rows, each, expect_rows_of, refuse_indices};

fn like_x(x: &TensorType, index: &TensorType, src: &TensorType) -> Result<TensorType, ShapeError> {
    src.expect_shape_of(index)?;
    expect_rows_of(index, x)?;
    Ok(*x)
}

fn like_operand(dy: &TensorType, index: &TensorType, x: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(index)?;
    expect_rows_of(index, x)?;
    Ok(*x)
}

/// y = x, and y\[.., index\[.., j\]\] += src\[.., j\], along the last dimension, as `torch.scatter_add(x, -1, index, src)`.
///
/// x: `[.., N]`, any element type; index: `[.., K]`, i32, each from 0 to N - 1; src: like index; y: like x. What goes to one
/// element is added in the order of j: floats in f32, integers modulo 2^bits.
#[custom_op(shape = like_x, gradient(x) = grad, gradient(src) = gather(grad, index))]
pub fn scatter_add<T: Number>(core: &Core, x: Input<T>, index: Input<i32>, src: Input<T>, y: Output<T>) -> OpResult {
    add(core, &x, true, &index, &src, y)
}

/// dx\[.., index\[.., j\]\] += dy\[.., j\], from 0: the gradient of `gather`.
///
/// dy and index: `[.., K]`; x, for its shape alone, and dx: `[.., N]`; f32, bf16 or f16, added in f32.
#[custom_op(shape = like_operand)]
pub fn gather_backward<T: Float>(core: &Core, dy: Input<T>, index: Input<i32>, x: Input<T>, dx: Output<T>) -> OpResult {
    add(core, &x, false, &index, &dy, dx)
}

/// Adds to `x`, or to 0. Of a type that sums are computed in, a tile of the output has them; those of a smaller one have a buffer
/// of their own, and are rounded once.
#[inline(always)]
fn add<T: Number>(
    core: &Core,
    x: &Input<T>,
    is_added: bool,
    index: &Input<i32>,
    src: &Input<T>,
    mut y: Output<T>,
) -> OpResult {
    if x.is_empty() {
        return refuse_indices(core, index);
    }
    let are_in_output = size_of::<T>() == size_of::<T::Wide>();
    let of_sum = if are_in_output { 0 } else { size_of::<T::Wide>() };
    let tcm = core.tcm();
    let rows = Rows::of(core, x, index, size_of::<T>() + of_sum);
    let mut places = tcm.buffer::<i32>(rows.at_a_time)?;
    let mut sums = tcm.buffer::<T::Wide>(if are_in_output { 0 } else { rows.most() })?;
    for tile in rows.tiles(core) {
        let elements = rows.elements(&tile);
        if are_in_output {
            let mut stage =
                if is_added { tcm.update(x, &mut y, elements)? } else { tcm.stage_filled(&mut y, elements, T::ZERO)? };
            add_tile(core, rows, &tile, (index, src), (&mut places, &mut stage))?;
            stage.store()?;
            continue;
        }
        if is_added {
            for (sum, x) in sums.iter_mut().zip(&*tcm.load(x, elements.clone())?) {
                *sum = x.widen();
            }
        } else {
            sums.fill(T::Wide::ZERO);
        }
        add_tile(core, rows, &tile, (index, src), (&mut places, &mut sums))?;
        let mut stage = tcm.stage(&mut y, elements)?;
        for (y, sum) in stage.iter_mut().zip(&*sums) {
            *y = T::narrow(*sum);
        }
        stage.store()?;
    }
    Ok(())
}

/// Adds what goes to a tile to its sums.
#[inline(always)]
fn add_tile<T: Number, S: Number<Wide = T::Wide>>(
    core: &Core,
    rows: Rows,
    tile: &Part,
    (index, src): (&Input<i32>, &Input<T>),
    (places, sums): (&mut [i32], &mut [S]),
) -> OpResult {
    for part in rows.parts(tile) {
        let index = rows.load(core, index, (tile, part.clone()))?;
        let src = core.tcm().load(src, part)?;
        each(rows, tile, &index, places, |place, number| {
            if let (Some(sum), Some(src)) = (sums.get_mut(place), src.get(number)) {
                *sum = S::narrow(sum.widen().plus(src.widen()));
            }
        });
    }
    Ok(())
}
