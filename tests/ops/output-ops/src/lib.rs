//! Ops of several outputs, with types and shapes of their own, written with the walk and by hand; sizes that shape functions
//! see; scalars of every type.
#![no_std]

use gpsimd::prelude::*;

fn matrix(x: &TensorType) -> Result<(usize, usize), ShapeError> {
    x.expect_rank(2)?;
    Ok((x.dim(0), x.dim(1)))
}

/// The first of each row.
fn first_of_rows(x: &TensorType, k: usize) -> Result<TensorType, ShapeError> {
    let (rows, columns) = matrix(x)?;
    if k > columns {
        return Err(ShapeError::new("k is larger than the rows of x"));
    }
    x.with_shape(&[rows, k])
}

/// y = the first k elements of every row of x.  x: `[R, C]`, y: `[R, k]`.
#[custom_op(shape = first_of_rows)]
pub fn first<T: Element>(core: &Core, x: Input<T>, k: usize, mut y: Output<T>) -> OpResult {
    let (columns, most) = (x.dim(1), core.tcm().tile_len::<T>(2));
    for row in core.share(x.dim(0), 1).range() {
        for part in Chunks::of(0..k, most) {
            let tile = core.tcm().load(&x, row * columns + part.start..row * columns + part.end)?;
            let mut stage = core.tcm().stage(&mut y, row * k + part.start..row * k + part.end)?;
            stage.copy_from_slice(&tile);
            stage.store()?;
        }
    }
    Ok(())
}

fn two_dtypes(x: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok([x.with_dtype::<f32>(), x.with_dtype::<i8>()])
}

/// squares = x^2 in f32, signs = -1, 0 or 1.
#[custom_op(shape = two_dtypes)]
pub fn squares<T: Float>(core: &Core, x: Input<T>, squares: Output<f32>, signs: Output<i8>) -> OpResult {
    core.map(&x, (squares, signs), |x| {
        let x = x.to_f32();
        (x * x, i8::from(x > 0.0) - i8::from(x < 0.0))
    })
}

fn three_dtypes(x: &TensorType) -> Result<[TensorType; 3], ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok([*x, x.with_dtype::<i32>(), x.with_dtype::<u8>()])
}

/// By rows: less = x - least of the row (modulo 2^bits), far = the sum of the row less x (modulo 2^32), and whether x is the
/// least.
#[custom_op(shape = three_dtypes)]
pub fn centred<T: Integer>(
    core: &Core,
    x: Input<T>,
    less: Output<T>,
    far: Output<i32>,
    is_least: Output<u8>,
) -> OpResult {
    core.rows(&x, (less, far, is_least)).each(|mut row| {
        let sum = row.fold(Lanes::splat(0), |sum: i32, x: T| sum.wrapping_add(x.to_i32()))?.wrapping_sum();
        let least = row.fold(Lanes::splat(i32::MAX), |least: i32, x: T| least.min(x.to_i32()))?.min();
        row.map(|x| {
            let value = x.to_i32();
            let less = T::from_i32_wrapping(value.wrapping_sub(least));
            (less, sum.wrapping_sub(value), u8::from(value == least))
        })
    })
}

fn of_rows(x: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    let (rows, _) = matrix(x)?;
    let values = x.with_shape(&[rows])?;
    Ok([values, values.with_dtype::<i32>()])
}

/// values = the largest element of every row, indices = where it is, the first of equals; -inf and -1 of a row without
/// elements.  x: `[R, C]`; both: `[R]`.
#[custom_op(shape = of_rows)]
pub fn largest(core: &Core, x: Input<f32>, mut values: Output<f32>, mut indices: Output<i32>) -> OpResult {
    let columns = x.dim(1);
    for row in core.share(x.dim(0), 1).range() {
        let (mut value, mut index) = (f32::NEG_INFINITY, -1);
        for part in Chunks::of(0..columns, 512) {
            let tile = core.tcm().load(&x, row * columns + part.start..row * columns + part.end)?;
            for (i, &x) in part.zip(&*tile) {
                if index < 0 || x > value {
                    (value, index) = (x, i as i32);
                }
            }
        }
        let mut stage = core.tcm().stage(&mut values, row..=row)?;
        stage.fill(value);
        stage.store()?;
        let mut stage = core.tcm().stage(&mut indices, row..=row)?;
        stage.fill(index);
        stage.store()?;
    }
    Ok(())
}

fn five(_: usize, x: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_dtype::<i32>().with_shape(&[5])
}

/// bits = those of every scalar and size, in the order of the parameters.
#[custom_op(shape = five)]
#[expect(clippy::too_many_arguments, reason = "one of every type")]
pub fn bits(
    core: &Core,
    unsigned: u32,
    size: usize,
    float: f32,
    _x: Input<u8>,
    flag: bool,
    signed: i32,
    mut bits: Output<i32>,
) -> OpResult {
    if core.id() != 0 {
        return Ok(());
    }
    let mut stage = core.tcm().stage(&mut bits, ..)?;
    let all = [unsigned as i32, size as i32, float.to_bits() as i32, i32::from(flag), signed];
    stage.copy_from_slice(&all);
    stage.store()
}

fn like_both(x: &TensorType, step: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    step.expect_shape_of(x)?;
    Ok([*x, *x])
}

/// y = x + rate step, in the place of x; moved = rate step, apart.
#[custom_op(shape = like_both, replaces(y = x))]
pub fn steps(core: &Core, x: Input<f32>, step: Input<f32>, rate: f32, y: Output<f32>, moved: Output<f32>) -> OpResult {
    core.map((&x, &step), (y, moved), |(x, step)| (x + rate * step, rate * step))
}

/// As `steps`, by hand, and `moved` comes first.
#[custom_op(shape = like_both, replaces(y = x))]
pub fn steps_by_hand(
    core: &Core,
    x: Input<f32>,
    step: Input<f32>,
    rate: f32,
    mut moved: Output<f32>,
    mut y: Output<f32>,
) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(256) {
        let step = core.tcm().load(&step, range.clone())?;
        let mut to = core.tcm().stage(&mut moved, range.clone())?;
        for (to, step) in to.iter_mut().zip(&*step) {
            *to = rate * step;
        }
        to.store()?;
        let mut new = core.tcm().update(&x, &mut y, range)?;
        for (x, step) in new.iter_mut().zip(&*step) {
            *x += rate * step;
        }
        new.store()?;
    }
    Ok(())
}

fn like_first(x: &TensorType, a: &TensorType) -> Result<TensorType, ShapeError> {
    a.expect_shape_of(x)?;
    Ok(*x)
}

/// y = x a.
#[custom_op(shape = like_first, gradient(x, a) = product_backward(grad, x, a))]
pub fn product(core: &Core, x: Input<f32>, a: Input<f32>, y: Output<f32>) -> OpResult {
    core.map((&x, &a), y, |(x, a)| x * a)
}

fn like_x_and_a(dy: &TensorType, x: &TensorType, a: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    x.expect_shape_of(dy)?;
    a.expect_shape_of(dy)?;
    Ok([*x, *a])
}

/// dx = dy a, da = dy x: the gradients of two operands, two outputs.
#[custom_op(shape = like_x_and_a)]
pub fn product_backward(
    core: &Core,
    dy: Input<f32>,
    x: Input<f32>,
    a: Input<f32>,
    dx: Output<f32>,
    da: Output<f32>,
) -> OpResult {
    core.map((&dy, &x, &a), (dx, da), |(dy, x, a)| (dy * a, dy * x))
}

fn words(x: &TensorType, bias: &TensorType) -> Result<[TensorType; 3], ShapeError> {
    bias.expect_rank(1)?.expect_dim(0, x.expect_rank_at_least(1)?.last_dim())?;
    let mut rows = x.shape();
    rows.pop();
    Ok([*x, *x, x.with_shape(&rows)?])
}

/// Random bits as an operand of several walks: alone, as i32; beside x and what is broadcast to it, x + bias + bits; and the
/// sums of x + bits over rows, all modulo 2^32.  x: `[.., H]`, bias: `[H]`, alone and beside: like x, sums: `[..]`.
#[custom_op(shape = words)]
pub fn random_words(
    core: &Core,
    x: Input<i32>,
    bias: Input<i32>,
    seed: u32,
    alone: Output<i32>,
    beside: Output<i32>,
    sums: Output<i32>,
) -> OpResult {
    let random = core.random_bits(random::Philox::new(seed.into()));
    core.map(&random, alone, u32::cast_signed)?;
    core.map((&x, &random, &bias), beside, |(x, word, b)| x.wrapping_add(word.cast_signed()).wrapping_add(b))?;
    core.reduce((&x, &random), sums, |mut row| {
        let add = |sum: i32, (x, word): (i32, u32)| sum.wrapping_add(x).wrapping_add(word.cast_signed());
        Ok(row.fold(Lanes::splat(0), add)?.reduce(i32::wrapping_add))
    })
}

op_library! {
    name: "output_ops",
    ops: [first, squares, centred, largest, bits, steps, steps_by_hand, product, product_backward,
        random_words],
}
