//! Kernels that each make one mistake, of those that a kernel author makes. All but the mistake is right: y = x.
#![no_std]

use gpsimd::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

/// Rounds its last tile up to whole vectors, past the end of the tensor.
#[custom_op(shape = like_x)]
pub fn loads_past_the_end<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(LANES) {
        let tile = core.tcm().load(&x, range.start..range.start + LANES)?;
        let mut y = core.tcm().stage(&mut y, range)?;
        let len = y.len();
        y.copy_from_slice(&tile[..len]);
        y.store()?;
    }
    Ok(())
}

/// Stores its last tile rounded up to whole vectors.
#[custom_op(shape = like_x)]
pub fn stores_past_the_end<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(LANES) {
        let tile = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range.start..range.start + LANES)?;
        y[..tile.len()].copy_from_slice(&tile);
        y.store()?;
    }
    Ok(())
}

/// Takes the whole of its share into TCM, however long it is.
#[custom_op(shape = like_x)]
pub fn exhausts_tcm<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let tile = core.tcm().load(&x, range.clone())?;
    let mut y = core.tcm().stage(&mut y, range)?;
    y.copy_from_slice(&tile);
    y.store()
}

/// Every core begins one element before its share.
#[custom_op(shape = like_x)]
pub fn writes_into_another_share<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let share = core.share(x.len(), 1).range();
    let range = share.start.saturating_sub(1)..share.end;
    let tile = core.tcm().load(&x, range.clone())?;
    let mut y = core.tcm().stage(&mut y, range)?;
    y.copy_from_slice(&tile);
    y.store()
}

/// Forgets to store the tile of its last core.
#[custom_op(shape = like_x)]
pub fn forgets_to_store<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let tile = core.tcm().load(&x, range.clone())?;
    let mut y = core.tcm().stage(&mut y, range)?;
    y.copy_from_slice(&tile);
    if core.id() + 1 == core.count() {
        return Ok(());
    }
    y.store()
}

/// Leaves the first element of what it stores as TCM was.
#[custom_op(shape = like_x)]
pub fn stores_unwritten_tcm<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let tile = core.tcm().load(&x, range.clone())?;
    let mut y = core.tcm().stage(&mut y, range)?;
    y[1..].copy_from_slice(&tile[1..]);
    y.store()
}

/// Adds up in a buffer that it takes to begin as zeros.
#[custom_op(shape = like_x)]
pub fn sums_into_unwritten_tcm(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let mut sums = core.tcm().buffer::<f32>(range.len())?;
    let tile = core.tcm().load(&x, range.clone())?;
    for (sum, x) in sums.iter_mut().zip(&*tile) {
        *sum += x;
    }
    sums.store(&mut y, range)
}

/// Indexes its tile by the position in the tensor.
#[custom_op(shape = like_x)]
pub fn indexes_out_of_bounds<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let tile = core.tcm().load(&x, range.clone())?;
    let mut y = core.tcm().stage(&mut y, range.clone())?;
    for i in range {
        y[i] = tile[i];
    }
    y.store()
}

/// Gives up.
#[custom_op(shape = like_x)]
pub fn refuses<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    if x.dim(0) != 1 {
        return Err(OpError::Refused("the first dimension must be 1"));
    }
    let range = core.share(x.len(), 1).range();
    core.tcm().stage(&mut y, range)?.store()
}

/// Frees a tile while one made after it lives.
#[custom_op(shape = like_x)]
pub fn frees_out_of_order<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let tile = core.tcm().load(&x, range.clone())?;
    let mut y = core.tcm().stage(&mut y, range)?;
    y.copy_from_slice(&tile);
    drop(tile);
    y.store()
}

op_library! {
    name: "faulty_ops",
    ops: [
        loads_past_the_end,
        stores_past_the_end,
        exhausts_tcm,
        writes_into_another_share,
        forgets_to_store,
        stores_unwritten_tcm,
        sums_into_unwritten_tcm,
        indexes_out_of_bounds,
        refuses,
        frees_out_of_order,
    ],
}
