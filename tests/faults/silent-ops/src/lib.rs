//! Kernels that each make one mistake which could change the result without a word: nothing is out of bounds, and what is
//! wrong is what was left undone. All but the mistake is right: y = 2 x.
#![no_std]

use gpsimd::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

/// Twice as long as the kernel believes.
fn twice_as_long(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_shape(&[x.dim(0) * 2])
}

/// Asks for a second dimension, which a vector does not have.
fn of_a_matrix(x: &TensorType) -> Result<TensorType, ShapeError> {
    let shape = x.shape();
    x.with_shape(&[shape[0], shape[1]])
}

fn double<T: Float>(x: T) -> T {
    T::from_f32(x.to_f32() * 2.0)
}

fn doubles<T: Float>(to: &mut [T], from: &[T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = double(*from);
    }
}

/// Takes rows of 16 of a tile whose length 16 does not divide.
#[custom_op(shape = like_x)]
pub fn leaves_a_remainder<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), 1).chunks(256) {
        let mut tile = core.tcm().transform(&x, &mut y, range)?;
        for row in tile.rows(16) {
            row.map(&[(); 16], |x, ()| double(x));
        }
        tile.store()?;
    }
    Ok(())
}

/// Leaves out the first row of every tile.
#[custom_op(shape = like_x)]
pub fn skips_a_row<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), 1).chunks(256) {
        let mut tile = core.tcm().transform(&x, &mut y, range)?;
        for row in tile.rows(1).skip(1) {
            row.map(&[()], |x, ()| double(x));
        }
        tile.store()?;
    }
    Ok(())
}

/// Cuts its share into chunks of whole rows, of which not one fits: what a kernel by hand does with long rows.
#[custom_op(shape = like_x)]
pub fn makes_chunks_of_nothing<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let rows = core.tcm().tile_len::<T>(1) / 1_000_000;
    for range in core.share(x.len(), 1).chunks(rows * 1_000_000) {
        let tile = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        doubles(&mut y, &tile);
        y.store()?;
    }
    Ok(())
}

/// Swaps the ends of its range, and so loads and stores nothing.
#[custom_op(shape = like_x)]
pub fn goes_backwards<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let tile = core.tcm().load(&x, range.end..range.start)?;
    let mut y = core.tcm().stage(&mut y, range.end..range.start)?;
    doubles(&mut y, &tile);
    y.store()
}

/// Writes whole vectors of its stage, and not the remainder.
#[custom_op(shape = like_x)]
pub fn forgets_the_tail<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(256) {
        let tile = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        for (y, x) in y.chunks_exact_mut(LANES).zip(tile.chunks_exact(LANES)) {
            doubles(y, x);
        }
        y.store()?;
    }
    Ok(())
}

/// Never frees its tiles.
#[custom_op(shape = like_x)]
pub fn leaks<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(64) {
        let tile = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        doubles(&mut y, &tile);
        y.store()?;
        core::mem::forget(tile);
    }
    Ok(())
}

/// Frees a buffer while one made after it lives, and takes a third.
#[custom_op(shape = like_x)]
pub fn frees_too_early<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let first = core.tcm().buffer::<f32>(16)?;
    let mut second = core.tcm().buffer::<f32>(16)?;
    second.fill(2.0);
    drop(first);
    let mut third = core.tcm().buffer::<f32>(64)?;
    third.fill(1.0);
    for range in core.share(x.len(), LANES).chunks(256) {
        let tile = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        for (y, x) in y.iter_mut().zip(&*tile) {
            *y = T::from_f32(x.to_f32() * second[15]);
        }
        y.store()?;
    }
    Ok(())
}

/// Stores none of its stages.
#[custom_op(shape = like_x)]
pub fn stores_nothing<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(256) {
        let tile = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        doubles(&mut y, &tile);
    }
    Ok(())
}

/// Writes as many elements as x has.
#[custom_op(shape = twice_as_long)]
pub fn has_a_longer_output<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(256) {
        let tile = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        doubles(&mut y, &tile);
        y.store()?;
    }
    Ok(())
}

/// Panics in its shape function.
#[custom_op(shape = of_a_matrix)]
pub fn has_no_shape<T: Float>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    core.map(&x, y, double)
}

op_library! {
    name: "silent_ops",
    ops: [
        leaves_a_remainder,
        skips_a_row,
        makes_chunks_of_nothing,
        goes_backwards,
        forgets_the_tail,
        leaks,
        frees_too_early,
        stores_nothing,
        has_a_longer_output,
        has_no_shape,
    ],
}
