//! Ops on rows that lie apart: at indices, in blocks of columns, in windows of images; as walks and by hand.
#![no_std]

use gpsimd::prelude::*;

/// The rows of `table` that `ids` names.
fn rows_at(table: &TensorType, ids: &TensorType) -> Result<TensorType, ShapeError> {
    let mut shape = ids.shape();
    shape
        .push(table.expect_rank(2)?.last_dim())
        .map_err(|_| ShapeError::new("the output has more than 8 dimensions"))?;
    table.with_shape(&shape)
}

/// y = table\[ids\].  table: `[V, H]`, ids: any shape, y: `[.., H]`.
#[custom_op(shape = rows_at)]
pub fn gather_rows<T: Number>(core: &Core, table: Input<T>, ids: Input<i32>, y: Output<T>) -> OpResult {
    core.map(&table.rows_at(&ids), y, |row| row)
}

fn embedded(
    words: &TensorType,
    ids: &TensorType,
    _places: &TensorType,
    _at: &TensorType,
) -> Result<TensorType, ShapeError> {
    rows_at(words, ids)
}

/// y = (e - mean(e)) with e = words\[ids\] + places\[at\], where at meets ids as PyTorch broadcasts.  words: `[V, H]`, ids:
/// `[B, S]`, places: `[P, H]`, at: `[S]` or `[B, S]`.
#[custom_op(shape = embedded)]
pub fn embed(
    core: &Core,
    words: Input<f32>,
    ids: Input<i32>,
    places: Input<f32>,
    at: Input<i32>,
    y: Output<f32>,
) -> OpResult {
    core.rows((&words.rows_at(&ids), &places.rows_at(&at)), y).each(|mut row| {
        let sum = row.fold(Lanes::splat(0.0), |sum, (word, place)| sum + (word + place))?.sum();
        let mean = sum / row.len() as f32;
        row.map(|(word, place)| word + place - mean)
    })
}

fn halves(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(2)?;
    x.with_shape(&[x.dim(0), x.dim(1) / 2])
}

/// y = a b, of the two halves of the columns of x.  x: `[N, 2 H]`, y: `[N, H]`.
#[custom_op(shape = halves)]
pub fn gate(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    let half = y.dim(1);
    core.map((&x.narrow(1, ..half), &x.narrow(1, half..2 * half)), y, |(a, b)| a * b)
}

fn interior(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(4)?;
    let inside = |i| x.dim(i).saturating_sub(2);
    x.with_shape(&[x.dim(0), x.dim(1), inside(2), inside(3)])
}

/// Images without their outermost pixels.  x: `[N, C, H, W]`.
#[custom_op(shape = interior)]
pub fn crop<T: Number>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    core.map(&x.narrow(2, 1..=y.dim(2)).narrow(3, 1..=y.dim(3)), y, |x| x)
}

fn bags(table: &TensorType, ids: &TensorType) -> Result<TensorType, ShapeError> {
    ids.expect_rank(2)?;
    table.expect_rank(2)?.with_shape(&[ids.dim(0), table.dim(1)])
}

/// y\[b\] = the sum of table\[ids[b, k\]] over k, by hand.  table: `[V, H]`, ids: `[B, K]`, y: `[B, H]`.
#[custom_op(shape = bags)]
pub fn bag(core: &Core, table: Input<f32>, ids: Input<i32>, mut y: Output<f32>) -> OpResult {
    let (k, h) = (ids.dim(1), table.dim(1));
    for bag in core.share(ids.dim(0), 1).range() {
        let ids = core.tcm().load(&ids, bag * k..(bag + 1) * k)?;
        // In parts of a row, for which there is room.
        for columns in Chunks::of(0..h, 64) {
            let rows = core.tcm().gather(&table, &ids, columns.clone())?;
            let mut sums = core.tcm().stage_filled(&mut y, bag * h + columns.start..bag * h + columns.end, 0.0)?;
            for row in rows.iter() {
                for (sum, x) in sums.iter_mut().zip(row) {
                    *sum += x;
                }
            }
            sums.store()?;
        }
    }
    Ok(())
}

fn pooled(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(4)?;
    x.with_shape(&[x.dim(0), x.dim(1), x.dim(2) / 2, x.dim(3) / 2])
}

/// The greatest of every 2 x 2 pixels, by hand: windows of two rows.  x: `[N, C, H, W]`.
#[custom_op(shape = pooled)]
pub fn max_pool(core: &Core, x: Input<i32>, mut y: Output<i32>) -> OpResult {
    let (height, width) = (x.dim(2), x.dim(3));
    let (rows, columns) = (y.dim(2), y.dim(3));
    if y.is_empty() {
        return Ok(());
    }
    for row in core.share(y.len() / columns, 1).range() {
        let (image, row_of_image) = (row / rows, row % rows);
        let start = (image * height + 2 * row_of_image) * width;
        let window = core.tcm().load_2d(&x, Strided { start, rows: 2, columns: 2 * columns, stride: width })?;
        let mut pooled = core.tcm().stage(&mut y, row * columns..(row + 1) * columns)?;
        let pairs = window.row(0).chunks_exact(2).zip(window.row(1).chunks_exact(2));
        for (y, (above, below)) in pooled.iter_mut().zip(pairs) {
            *y = above[0].max(above[1]).max(below[0].max(below[1]));
        }
        pooled.store()?;
    }
    Ok(())
}

fn transposed(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(2)?.with_shape(&[x.dim(1), x.dim(0)])
}

/// y = x transposed, by hand: a block of columns of x becomes rows of y, and a block of columns of y is stored at a
/// time.  x: `[N, M]`, y: `[M, N]`.
#[custom_op(shape = transposed)]
pub fn transpose<T: Number>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let (n, m) = (x.dim(0), x.dim(1));
    let mut out = core.tcm().buffer::<T>(64)?;
    for rows in core.share(n, 1).chunks(8) {
        for columns in Chunks::of(0..m, 8) {
            let window =
                Strided { start: rows.start * m + columns.start, rows: rows.len(), columns: columns.len(), stride: m };
            let tile = core.tcm().load_2d(&x, window)?;
            for (i, row) in tile.iter().enumerate() {
                for (j, x) in row.iter().enumerate() {
                    out[j * rows.len() + i] = *x;
                }
            }
            let window =
                Strided { start: columns.start * n + rows.start, rows: columns.len(), columns: rows.len(), stride: n };
            out.store_2d(&mut y, window)?;
        }
    }
    Ok(())
}

fn like_x(x: &TensorType, to: &TensorType) -> Result<TensorType, ShapeError> {
    to.expect_rank(1)?;
    Ok(*x.expect_rank(2)?)
}

/// y\[to\] = x, a permutation of rows.  x: `[N, H]`, to: `[N]`, y: like x.
#[custom_op(shape = like_x)]
pub fn permute_rows<T: Number>(core: &Core, x: Input<T>, to: Input<i32>, y: Output<T>) -> OpResult {
    core.scatter_rows(&x, &to, y)
}

fn like_base(base: &TensorType, x: &TensorType, to: &TensorType) -> Result<TensorType, ShapeError> {
    like_x(x, to)?;
    Ok(*base.expect_rank(2)?)
}

/// base, with the rows that `to` names replaced by those of x.  base: `[V, H]`, x: `[N, H]`, to: `[N]`.
#[custom_op(shape = like_base, replaces = base)]
pub fn set_rows<T: Number>(core: &Core, base: Input<T>, x: Input<T>, to: Input<i32>, y: Output<T>) -> OpResult {
    core.scatter_rows_over(&base, &x, &to, y)
}

/// Leaves x: a window of three rows, one of three dimensions, and the columns of a row.
#[custom_op(shape = only)]
pub fn leaves(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    if x.dim(1) == 3 {
        core.tcm().load_2d(&x, Strided { start: 1, rows: 3, columns: 2, stride: 4 })?;
    }
    if x.dim(1) == 4 {
        return core.map(&x.narrow(1, 1..5), y, |x| x);
    }
    if x.dim(1) == 5 {
        return core.map(&x.narrow(2, ..), y, |x| x);
    }
    if x.dim(1) == 6 {
        core.tcm().gather(&x, &[0], 3..7)?;
    }
    core.tcm().buffer::<f32>(8)?.store_2d(&mut y, Strided { start: 0, rows: 2, columns: 4, stride: 3 })
}

fn only(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x.expect_rank(2)?)
}

op_library! {
    name: "index_dma_ops",
    tcm: 10240,
    ops: [gather_rows, embed, gate, crop, bag, max_pool, transpose, permute_rows, set_rows, leaves],
}
