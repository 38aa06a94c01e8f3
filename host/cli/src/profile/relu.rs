//! The `relu` kernels of the vendor's tutorial (`customop-mlp-perf-opt`), the only ones with published speeds: the cost model is
//! calibrated with them. On a device a library runs on all cores, so that what is for one is left to the first.

#![no_std]

use gpsimd::prelude::*;

/// Elements of the tutorial's TCM buffer.
const TILE: usize = 1024;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok(*x)
}

fn relu(x: f32) -> f32 {
    if x > 0.0 { x } else { 0.0 }
}

/// y = max(x, 0), a tile of 1024 elements at a time.  x: any, y: like x.
#[custom_op(shape = like_x)]
pub fn relu_tiles(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let mut tile = core.tcm().buffer::<f32>(TILE)?;
    for range in core.share(x.len(), 1).chunks(TILE) {
        for x in tile.load(&x, range.clone())? {
            *x = relu(*x);
        }
        tile.store(&mut y, range)?;
    }
    Ok(())
}

/// As `relu_tiles`, on one core.  x: any, y: like x.
#[custom_op(shape = like_x)]
pub fn relu_tiles_one_core(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let mut tile = core.tcm().buffer::<f32>(TILE)?;
    for range in core.share(x.len(), x.len()).chunks(TILE) {
        for x in tile.load(&x, range.clone())? {
            *x = relu(*x);
        }
        tile.store(&mut y, range)?;
    }
    Ok(())
}

/// y = max(x, 0), an element at a time on one core, as the element-wise accessor reads and writes.  x: any, y: like x.
#[custom_op(shape = like_x)]
pub fn relu_elements(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let mut element = core.tcm().buffer::<f32>(1)?;
    for range in core.share(x.len(), x.len()).chunks(1) {
        for x in element.load(&x, range.clone())? {
            *x = relu(*x);
        }
        element.store(&mut y, range)?;
    }
    Ok(())
}

op_library! { name: "relu_ops", ops: [relu_tiles, relu_tiles_one_core, relu_elements] }
