//! Reductions whose first operand, by which they go, has rows that lie apart; rows read elsewhere than they are replaced;
//! and operands that are broadcast and share the TCM of an output.
#![no_std]

use gpsimd::prelude::*;

fn per_id(table: &TensorType, ids: &TensorType, bias: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    let last = bias.expect_rank_at_least(1)?.rank() - 1;
    bias.expect_dim(last, table.expect_rank(2)?.last_dim())?;
    let sums = table.with_dtype::<f32>().with_shape(&ids.shape())?;
    Ok([sums, sums.with_dtype::<i32>()])
}

/// sums = the sum of every row of table\[ids\] + bias, and the number of that row among the ids.  table: `[V, H]`, ids: any
/// shape, bias: broadcast to table\[ids\]; both outputs: like ids.
#[custom_op(shape = per_id)]
pub fn sums_of_rows(
    core: &Core,
    table: Input<f32>,
    ids: Input<i32>,
    bias: Input<f32>,
    sums: Output<f32>,
    numbers: Output<i32>,
) -> OpResult {
    core.reduce((&table.rows_at(&ids), &bias), (sums, numbers), |mut row| {
        let number = row.index() as i32;
        Ok((row.fold(Lanes::splat(0.0), |sum, (x, bias)| sum + (x + bias))?.sum(), number))
    })
}

fn inside(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(4)?;
    x.with_shape(&[x.dim(0), x.dim(1), x.dim(2).saturating_sub(2)])
}

/// The greatest of the inner elements of every inner row of images.  x: `[N, C, H, W]`, y: `[N, C, H - 2]`.
#[custom_op(shape = inside)]
pub fn maxima_inside(core: &Core, x: Input<i32>, y: Output<i32>) -> OpResult {
    let inner = |size: usize| 1..size.saturating_sub(1).max(1);
    let inside = x.narrow(2, inner(x.dim(2))).narrow(3, inner(x.dim(3)));
    core.reduce(&inside, y, |mut row| Ok(row.fold(Lanes::splat(i32::MIN), |most: i32, x: i32| most.max(x))?.max()))
}

fn of_parts(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(2)?;
    x.with_dtype::<f32>().with_shape(&[PARTS, x.dim(1) / 2])
}

fn of_columns(sums: &TensorType) -> Result<TensorType, ShapeError> {
    sums.expect_rank(2)?.with_shape(&[sums.dim(1)])
}

/// The sum over the rows of the second half of the columns of x.  x: `[N, 2 H]`, in two phases: `[H]`.
#[custom_op(shape = of_parts, then = add_parts(sums))]
pub fn column_sums<T: Float>(core: &Core, x: Input<T>, sums: Output<f32>) -> OpResult {
    let half = x.dim(1) / 2;
    core.fold_rows(&x.narrow(1, half..2 * half), sums, 0.0, |_row| Ok(|sum, x: T| sum + x.to_f32()))
}

/// The second phase of `column_sums`.
#[custom_op(shape = of_columns)]
pub fn add_parts(core: &Core, sums: Input<f32>, y: Output<f32>) -> OpResult {
    core.combine(&sums, y, |a, b| a + b, |sum| sum)
}

fn like_x(x: &TensorType, ids: &TensorType) -> Result<TensorType, ShapeError> {
    ids.expect_rank(1)?.expect_dim(0, x.expect_rank(2)?.dim(0))?;
    Ok(*x)
}

/// x\[ids\], in the place of x: rows that were replaced before they are read, unless every id is its own.
#[custom_op(shape = like_x, replaces = x)]
pub fn shuffle(core: &Core, x: Input<f32>, ids: Input<i32>, y: Output<f32>) -> OpResult {
    core.map(&x.rows_at(&ids), y, |x| x)
}

fn like_last(x: &TensorType, y: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok(*y)
}

fn of_shape(x: &TensorType, like: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_shape(&like.shape())
}

/// x, broadcast to the shape of `like`, of which nothing is read.  Shares its TCM with the output.
#[custom_op(shape = of_shape)]
#[expect(unused_variables, reason = "the shape of an operand is the output's")]
pub fn expand<T: Number>(core: &Core, x: Input<T>, like: Input<u8>, y: Output<T>) -> OpResult {
    core.map(&x, y, |x| x)
}

fn like_other(table: &TensorType, ids: &TensorType, other: &TensorType) -> Result<TensorType, ShapeError> {
    table.expect_rank(2)?;
    ids.expect_rank_at_least(1)?;
    Ok(*other)
}

/// y = e - the sum of its row + other, e = table\[ids\], broadcast to other.  table: `[V, H]`, ids: `[1, S]` or `[S]`, other
/// and y: `[B, S, H]`.
#[custom_op(shape = like_other)]
pub fn less_sum(core: &Core, table: Input<f32>, ids: Input<i32>, other: Input<f32>, y: Output<f32>) -> OpResult {
    core.rows((&table.rows_at(&ids), &other), y).each(|mut row| {
        let sum = row.fold(Lanes::splat(0.0), |sum, (x, _)| sum + x)?.sum();
        row.map(|(x, other)| x - sum + other)
    })
}

/// As `less_sum`, of x, which is broadcast to other.
#[custom_op(shape = like_last)]
pub fn less_sum_of_rows(core: &Core, x: Input<f32>, other: Input<f32>, y: Output<f32>) -> OpResult {
    core.rows((&x, &other), y).each(|mut row| {
        let sum = row.fold(Lanes::splat(0.0), |sum, (x, _)| sum + x)?.sum();
        row.map(|(x, other)| x - sum + other)
    })
}

fn half_of_rows(x: &TensorType, to: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_shape(&[to.dim(0) / 2, x.dim(1)])
}

/// Rows of x at the second half of the indices, gathered or, of an odd number of rows, scattered.
#[custom_op(shape = half_of_rows)]
pub fn by_half_of_the_indices(core: &Core, x: Input<f32>, to: Input<i32>, y: Output<f32>) -> OpResult {
    let half = to.part(to.len() / 2..);
    if x.dim(0) % 2 == 1 { core.scatter_rows(&x, &half, y) } else { core.map(&x.rows_at(&half), y, |x| x) }
}

fn one_for_all(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_shape(&[x.dim(0) + 1])
}

/// Has a result more than rows.
#[custom_op(shape = one_for_all)]
pub fn reduces_to_more(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.reduce(&x, y, |mut row| Ok(row.fold(Lanes::splat(0.0), |sum, x| sum + x)?.sum()))
}

op_library! {
    name: "apart_ops",
    ops: [sums_of_rows, maxima_inside, column_sums, add_parts, shuffle, expand, less_sum, less_sum_of_rows,
        by_half_of_the_indices, reduces_to_more],
}
