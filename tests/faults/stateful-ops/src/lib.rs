//! A kernel that keeps a state between launches, which no op package can.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering};

use gpsimd::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

/// y = x and how many tiles there were before.
#[custom_op(shape = like_x)]
pub fn counts_its_tiles<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    static TILES: AtomicU32 = AtomicU32::new(0);
    for range in core.share(x.len(), LANES).chunks(256) {
        let tiles = TILES.load(Ordering::Relaxed);
        TILES.store(tiles + 1, Ordering::Relaxed);
        let tile = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        for (y, x) in y.iter_mut().zip(&*tile) {
            *y = T::from_f32(x.to_f32() + tiles as f32);
        }
        y.store()?;
    }
    Ok(())
}

op_library! { name: "stateful_ops", ops: [counts_its_tiles] }
