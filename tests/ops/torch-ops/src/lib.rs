//! Ops for the tests of `host/torch`: in place with gradients that read what is written over, the output, or neither, and
//! output shapes that are more than an operand's.
#![no_std]

use gpsimd::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn like_a(a: &TensorType, b: &TensorType) -> Result<TensorType, ShapeError> {
    b.expect_shape_of(a)?;
    Ok(*a)
}

fn like_grad(grad: &TensorType, a: &TensorType) -> Result<TensorType, ShapeError> {
    grad.expect_shape_of(a)?;
    Ok(*grad)
}

fn flat(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_shape(&[x.shape().iter().product()])
}

fn joined(a: &TensorType, b: &TensorType) -> Result<TensorType, ShapeError> {
    a.expect_rank(1)?;
    b.expect_rank(1)?;
    a.with_shape(&[a.dim(0) + b.dim(0)])
}

fn first_of_four(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(1)?;
    x.with_shape(&[x.dim(0).div_ceil(4)])
}

fn at_most_100(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(1)?;
    x.with_shape(&[x.dim(0).min(100)])
}

/// y[i] = f(a[i], b[i]), in the place of a.
fn combine<T: Float>(
    core: &Core,
    a: &Input<T>,
    b: &Input<T>,
    y: &mut Output<T>,
    f: impl Fn(f32, f32) -> f32,
) -> OpResult {
    let tcm = core.tcm();
    for range in core.share(a.len(), LANES).chunks(256) {
        let b = tcm.load(b, range.clone())?;
        let mut tile = tcm.update(a, y, range)?;
        for (y, b) in tile.iter_mut().zip(&*b) {
            *y = T::from_f32(f(y.to_f32(), b.to_f32()));
        }
        tile.store()?;
    }
    Ok(())
}

/// The first elements of x, as many as the output has.
fn copy<T: Float>(core: &Core, x: &Input<T>, at: usize, y: &mut Output<T>, to: usize, len: usize) -> OpResult {
    for range in core.share(len, LANES).chunks(256) {
        let tile = core.tcm().load(x, at + range.start..at + range.end)?;
        let mut y = core.tcm().stage(y, to + range.start..to + range.end)?;
        y.copy_from_slice(&tile);
        y.store()?;
    }
    Ok(())
}

/// y = a + b.
#[custom_op(shape = like_a, replaces = a, gradient(a, b) = scale(grad, 1.0))]
pub fn add<T: Float>(core: &Core, a: Input<T>, b: Input<T>, mut y: Output<T>) -> OpResult {
    combine(core, &a, &b, &mut y, |a, b| a + b)
}

/// y = a b; its gradients read both operands.
#[custom_op(shape = like_a, replaces = a, gradient(a) = multiply(grad, b), gradient(b) = multiply(grad, a))]
pub fn multiply<T: Float>(core: &Core, a: Input<T>, b: Input<T>, mut y: Output<T>) -> OpResult {
    combine(core, &a, &b, &mut y, |a, b| a * b)
}

/// y = 1 / x; its gradient reads y.
#[custom_op(shape = like_x, replaces = x, gradient(x) = reciprocal_backward(grad, y))]
pub fn reciprocal<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let tcm = core.tcm();
    for range in core.share(x.len(), LANES).chunks(256) {
        let mut tile = tcm.update(&x, &mut y, range)?;
        for y in tile.iter_mut() {
            *y = T::from_f32(1.0 / y.to_f32());
        }
        tile.store()?;
    }
    Ok(())
}

/// -grad y y.
#[custom_op(shape = like_grad, replaces = grad)]
pub fn reciprocal_backward<T: Float>(core: &Core, grad: Input<T>, y: Input<T>, mut dx: Output<T>) -> OpResult {
    combine(core, &grad, &y, &mut dx, |grad, y| -grad * y * y)
}

/// y = factor x.
#[custom_op(shape = like_x, replaces = x, gradient(x) = scale(grad, factor))]
pub fn scale<T: Float>(core: &Core, x: Input<T>, factor: f32, mut y: Output<T>) -> OpResult {
    let tcm = core.tcm();
    for range in core.share(x.len(), LANES).chunks(256) {
        let mut tile = tcm.update(&x, &mut y, range)?;
        for y in tile.iter_mut() {
            *y = T::from_f32(factor * y.to_f32());
        }
        tile.store()?;
    }
    Ok(())
}

/// x as one dimension.
#[custom_op(shape = flat)]
pub fn flatten<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    copy(core, &x, 0, &mut y, 0, x.len())
}

/// a, then b.
#[custom_op(shape = joined)]
pub fn join<T: Float>(core: &Core, a: Input<T>, b: Input<T>, mut y: Output<T>) -> OpResult {
    copy(core, &a, 0, &mut y, 0, a.len())?;
    copy(core, &b, 0, &mut y, a.len(), b.len())
}

/// The first quarter of x, rounded up.
#[custom_op(shape = first_of_four)]
pub fn quarter<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let len = y.len();
    copy(core, &x, 0, &mut y, 0, len)
}

/// The first 100 elements of x, or all.
#[custom_op(shape = at_most_100)]
pub fn head<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let len = y.len();
    copy(core, &x, 0, &mut y, 0, len)
}

/// The size of the TCM pool in every element, which a right kernel would not tell.
#[custom_op(shape = like_x)]
pub fn pool_size(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let size = core.tcm().left() as f32;
    for range in core.share(x.len(), LANES).chunks(256) {
        let mut y = core.tcm().stage(&mut y, range)?;
        y.fill(size);
        y.store()?;
    }
    Ok(())
}

op_library! {
    name: "torch_ops",
    ops: [
        add,
        multiply,
        reciprocal,
        reciprocal_backward,
        scale,
        flatten,
        join,
        quarter,
        head,
        pool_size,
    ],
}
