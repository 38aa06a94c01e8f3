//! Ops of one elementary function each, and one of random numbers: as many as a library may have.
#![no_std]

use gpsimd::prelude::*;
use gpsimd::random::Philox;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok(*x)
}

fn like_both(x: &TensorType, y: &TensorType) -> Result<TensorType, ShapeError> {
    y.expect_shape_of(x)?;
    Ok(*x)
}

macro_rules! ops {
    ($($name:ident)*) => {$(
        #[doc = concat!("y = ", stringify!($name), "(x).")]
        #[custom_op(shape = like_x)]
        pub fn $name(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
            core.map(&x, y, math::$name)
        }
    )*};
}

ops! { log log2 log1p exp2 expm1 sigmoid sin cos }

/// z = x to the power of y.
#[custom_op(shape = like_both)]
pub fn pow(core: &Core, x: Input<f32>, y: Input<f32>, z: Output<f32>) -> OpResult {
    core.map((&x, &y), z, |(x, y)| math::pow(x, y))
}

/// y = x and a number of the normal distribution, of seed 1.
#[custom_op(shape = like_x)]
pub fn add_normal(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let tcm = core.tcm();
    for range in core.share(x.len(), LANES).chunks(tcm.tile_len::<f32>(2)) {
        let first = range.start as u64;
        let x = tcm.load(&x, range.clone())?;
        let mut y = tcm.stage(&mut y, range)?;
        Philox::new(1).fill_normal(first, &mut y);
        for (y, x) in y.iter_mut().zip(&*x) {
            *y += *x;
        }
        y.store()?;
    }
    Ok(())
}

op_library! {
    name: "math_ops",
    ops: [log, log2, log1p, exp2, expm1, sigmoid, sin, cos, pow, add_normal],
}
