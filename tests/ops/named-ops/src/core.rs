//! A module called like a crate, with an op of that name, whose operands are called like types of C++.

use gp::prelude::*;

fn call(float: &TensorType, double: &TensorType) -> Result<TensorType, ShapeError> {
    double.expect_shape_of(float)?;
    Ok(*float)
}

/// y = float - double.  float: any, double and y: like float.
#[custom_op(shape = call, replaces = float, gradient(float) = grad, gradient(double) = shape(grad, -1.0, 0))]
pub fn core(core: &Core, float: Input<f32>, double: Input<f32>, mut y: Output<f32>) -> OpResult {
    for range in core.share(float.len(), LANES).chunks(LANES) {
        let tile = core.tcm().load(&double, range.clone())?;
        let mut result = core.tcm().update(&float, &mut y, range)?;
        for (y, x) in result.iter_mut().zip(&*tile) {
            *y -= x;
        }
        result.store()?;
    }
    Ok(())
}
