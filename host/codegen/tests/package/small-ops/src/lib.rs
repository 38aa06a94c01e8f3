//! One op, small enough to read what becomes of it.

#![no_std]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok(*x)
}

/// y = factor x.  x: [.., N], y: like x.
#[custom_op(shape = like_x)]
pub fn scale(core: &Core, x: Input<f32>, factor: f32, mut y: Output<f32>) -> OpResult {
    let tcm = core.tcm();
    for range in core.share(x.len(), LANES).chunks(tcm.tile_len::<f32>(2)) {
        let x = tcm.load(&x, range.clone())?;
        let mut y = tcm.stage(&mut y, range)?;
        for (y, x) in y.iter_mut().zip(&*x) {
            *y = factor * *x;
        }
        y.store()?;
    }
    Ok(())
}

op_library! { name: "small_ops", ops: [scale] }
