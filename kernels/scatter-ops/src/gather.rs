//! Elements of rows at indices.

use gpsimd::prelude::*;

use crate::rows::{at_a_time, expect_rows_of};

fn like_index(x: &TensorType, index: &TensorType) -> Result<TensorType, ShapeError> {
    expect_rows_of(index, x)?;
    x.with_shape(&index.shape())
}

/// y\[.., j\] = x\[.., index\[.., j\]\]: elements along the last dimension, as `torch.gather(x, -1, index)`.
///
/// x: `[.., N]`, any element type; index: `[.., K]`, i32, each from 0 to N - 1; y: like index.
#[custom_op(shape = like_index, gradient(x) = gather_backward(grad, index, x))]
pub fn gather<T: Number>(core: &Core, x: Input<T>, index: Input<i32>, mut y: Output<T>) -> OpResult {
    if index.is_empty() {
        return Ok(());
    }
    let len = x.shape().last().copied().unwrap_or(1);
    let per_row = index.shape().last().copied().unwrap_or(1);
    let tcm = core.tcm();
    let row = len * size_of::<T>() + per_row * (size_of::<T>() + size_of::<i32>());
    // Of the three, each may take up to 64 bytes more.
    let together = tcm.left().saturating_sub(3 * 64) / row;
    if together > 0 {
        for rows in core.share(index.len() / per_row, 1).chunks(together) {
            let own = rows.start * per_row..rows.end * per_row;
            let x = tcm.load(&x, rows.start * len..rows.end * len)?;
            let index = tcm.load_indices(&index, own.clone(), len)?;
            let mut stage = tcm.stage(&mut y, own)?;
            let of_rows = stage.chunks_exact_mut(per_row).zip(index.chunks_exact(per_row));
            for ((y, index), x) in of_rows.zip(x.chunks_exact(len.max(1))) {
                lanes::gather(x, 0, index, y);
            }
            stage.store()?;
        }
        return Ok(());
    }
    // A row in TCM and as many indices as there is room for beside it, or elements where they are.
    let at_a_time = at_a_time::<T>(core);
    let beside = tcm.left().saturating_sub(len * size_of::<T>() + 3 * 64) / (size_of::<T>() + size_of::<i32>());
    let fits = beside >= at_a_time;
    let at_a_time = if fits { beside / LANES * LANES } else { at_a_time };
    let mut next = core.share(index.len(), LANES).range();
    while !next.is_empty() {
        let row = next.start / per_row;
        let end = next.end.min((row + 1) * per_row);
        if fits {
            let x = tcm.load(&x, row * len..(row + 1) * len)?;
            for part in Chunks::of(next.start..end, at_a_time) {
                let index = tcm.load_indices(&index, part.clone(), len)?;
                let mut stage = tcm.stage(&mut y, part)?;
                lanes::gather(&x, 0, &index, &mut stage);
                stage.store()?;
            }
        } else {
            let mut x = tcm.window(&x)?;
            for part in Chunks::of(next.start..end, at_a_time) {
                let index = tcm.load_indices(&index, part.clone(), len)?;
                let mut stage = tcm.stage(&mut y, part)?;
                for (y, index) in stage.iter_mut().zip(&*index) {
                    *y = x.get(row * len + *index as usize)?;
                }
                stage.store()?;
            }
        }
        next.start = end;
    }
    Ok(())
}
