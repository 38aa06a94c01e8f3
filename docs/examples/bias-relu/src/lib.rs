//! y = max(x + bias, 0) in four steps by hand, from a kernel that waits for DMAs most of its time to one at its limit, and as a
//! tile walk. The book's page "Making a kernel faster" goes through them.

#![no_std]

use gpsimd::prelude::*;

fn like_x(x: &TensorType, bias: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    bias.expect_rank(1)?.expect_dim(0, x.last_dim())?;
    Ok(*x)
}

fn relu(x: f32) -> f32 {
    if x > 0.0 { x } else { 0.0 }
}

/// A row at a time.  x: `[.., H]`, bias: `[H]`, y: like x.
#[custom_op(shape = like_x)]
pub fn step_1_rows(core: &Core, x: Input<f32>, bias: Input<f32>, mut y: Output<f32>) -> OpResult {
    for range in core.share(x.len(), bias.len()).chunks(bias.len()) {
        let bias = core.tcm().load(&bias, ..)?;
        let x = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        for ((y, x), b) in y.iter_mut().zip(&*x).zip(&*bias) {
            *y = relu(*x + *b);
        }
        y.store()?;
    }
    Ok(())
}

/// The bias is loaded once.  x: `[.., H]`, bias: `[H]`, y: like x.
#[custom_op(shape = like_x)]
pub fn step_2_resident(core: &Core, x: Input<f32>, bias: Input<f32>, mut y: Output<f32>) -> OpResult {
    let bias = core.tcm().load(&bias, ..)?;
    for range in core.share(x.len(), bias.len()).chunks(bias.len()) {
        let x = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        for ((y, x), b) in y.iter_mut().zip(&*x).zip(&*bias) {
            *y = relu(*x + *b);
        }
        y.store()?;
    }
    Ok(())
}

/// As many rows at a time as fit.  x: `[.., H]`, bias: `[H]`, y: like x.
#[custom_op(shape = like_x)]
pub fn step_3_tiles(core: &Core, x: Input<f32>, bias: Input<f32>, mut y: Output<f32>) -> OpResult {
    let bias = core.tcm().load(&bias, ..)?;
    let rows = core.tcm().tile_len::<f32>(2) / bias.len().max(1);
    for range in core.share(x.len(), bias.len()).chunks(rows.max(1) * bias.len()) {
        let x = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        for (y, x) in y.chunks_exact_mut(bias.len()).zip(x.chunks_exact(bias.len())) {
            for ((y, x), b) in y.iter_mut().zip(x).zip(&*bias) {
                *y = relu(*x + *b);
            }
        }
        y.store()?;
    }
    Ok(())
}

/// The output is computed in place of the operand: twice as many rows.  x: `[.., H]`, bias: `[H]`, y: like x.
#[custom_op(shape = like_x)]
pub fn step_4_in_place(core: &Core, x: Input<f32>, bias: Input<f32>, mut y: Output<f32>) -> OpResult {
    let bias = core.tcm().load(&bias, ..)?;
    let rows = core.tcm().tile_len::<f32>(1) / bias.len().max(1);
    for range in core.share(x.len(), bias.len()).chunks(rows.max(1) * bias.len()) {
        let mut tile = core.tcm().transform(&x, &mut y, range)?;
        for row in tile.rows(bias.len()) {
            row.map(&bias, |x, b| relu(x + b));
        }
        tile.store()?;
    }
    Ok(())
}

/// The same as a tile walk.  x: `[.., H]`, bias: `[H]`, y: like x.
#[custom_op(shape = like_x)]
pub fn step_5_walk(core: &Core, x: Input<f32>, bias: Input<f32>, y: Output<f32>) -> OpResult {
    core.map((&x, &bias), y, |(x, bias)| relu(x + bias))
}

op_library! { name: "bias_relu", ops: [step_1_rows, step_2_resident, step_3_tiles, step_4_in_place, step_5_walk] }
