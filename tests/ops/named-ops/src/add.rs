//! A module called like the op in it.

use gp::prelude::*;

fn shape(x: &TensorType, register: &TensorType) -> Result<TensorType, ShapeError> {
    register.expect_rank(1)?.expect_dim(0, x.last_dim())?;
    Ok(*x)
}

/// y = x + register.  x: `[.., H]`, register: `[H]`, y: like x.
#[custom_op(shape = shape, gradient(x, register) = grad)]
pub fn add<T: Float>(core: &Core, x: Input<T>, register: Input<T>, mut y: Output<T>) -> OpResult {
    let hidden = register.len();
    let register = core.tcm().load(&register, ..)?;
    for range in core.share(x.len(), hidden).chunks(hidden) {
        let tile = core.tcm().load(&x, range.clone())?;
        let mut result = core.tcm().stage(&mut y, range)?;
        for ((y, x), b) in result.iter_mut().zip(&*tile).zip(&*register) {
            *y = T::from_f32(x.to_f32() + b.to_f32());
        }
        result.store()?;
    }
    Ok(())
}
