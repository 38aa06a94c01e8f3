//! Rows of a table at indices, and the gradient of the table.

use gpsimd::prelude::*;

fn rows_at(table: &TensorType, ids: &TensorType) -> Result<TensorType, ShapeError> {
    let mut shape = ids.shape();
    let columns = table.expect_rank(2)?.last_dim();
    shape.push(columns).map_err(|_| ShapeError::new("the output has more than 8 dimensions"))?;
    table.with_shape(&shape)
}

fn like_table(dy: &TensorType, ids: &TensorType, table: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(&rows_at(table, ids)?)?;
    Ok(*table)
}

/// y = table\[ids\]: the rows of a table at indices from 0 on, as `torch.nn.functional.embedding`.
///
/// table: `[V, H]`, any element type; ids: any shape, i32, each from 0 to V - 1; y: `[.., H]`.
#[custom_op(shape = rows_at, gradient(table) = gather_rows_backward(grad, ids, table))]
pub fn gather_rows<T: Number>(core: &Core, table: Input<T>, ids: Input<i32>, y: Output<T>) -> OpResult {
    core.map(&table.rows_at(&ids), y, |row| row)
}

/// Elements of a row that are summed at a time, and indices that are looked at.
const COLUMNS: usize = 512;
const INDICES: usize = 256;

/// dtable\[v\] = the sum of dy\[i\] over all i with ids\[i\] = v, in their order: the gradient of `gather_rows`.
///
/// dy: `[.., H]`, ids: `[..]`, table, for its shape alone, and dtable: `[V, H]`. f32, bf16 or f16, summed in f32. Every core has
/// rows of its own, so that no two add to the same.
#[custom_op(shape = like_table)]
pub fn gather_rows_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    ids: Input<i32>,
    table: Input<T>,
    mut dtable: Output<T>,
) -> OpResult {
    let (rows, columns) = (table.dim(0), table.dim(1));
    let part = columns.min(COLUMNS);
    if part == 0 {
        return Ok(());
    }
    let mut places = core.tcm().buffer::<i32>(INDICES)?;
    let left = core.tcm().left().saturating_sub(size_of::<i32>() * INDICES + size_of::<T>() * COLUMNS);
    let at_once = (left / (part * (size_of::<f32>() + size_of::<T>())).next_multiple_of(64)).max(1);
    let mut sums = core.tcm().buffer::<f32>(at_once * part)?;
    let mut is_first = true;
    for block in core.share(rows, 1).chunks(at_once) {
        for columns_of_part in Chunks::of(0..columns, part) {
            let width = columns_of_part.len();
            let sums = &mut sums[..block.len() * width];
            sums.fill(0.0);
            for indices in Chunks::of(0..ids.len(), INDICES) {
                let first = indices.start;
                let tile = core.tcm().load(&ids, indices)?;
                if is_first && lanes::any(&tile, |id| id < 0 || id as usize >= rows) {
                    return Err(OpError::Refused("an index is negative or not below the number of rows of the table"));
                }
                let (low, high) = (block.start as i32, block.end as i32);
                let found = lanes::compact(&tile, 0, |id| low <= id && id < high, &mut places).found;
                for place in &places[..found] {
                    let place = *place as usize;
                    let row = tile[place] as usize - block.start;
                    let start = (first + place) * columns + columns_of_part.start;
                    let dy = core.tcm().load(&dy, start..start + width)?;
                    for (sum, dy) in sums[row * width..][..width].iter_mut().zip(&*dy) {
                        *sum += dy.to_f32();
                    }
                }
            }
            is_first = false;
            // Whole rows follow each other in the table; parts of rows are stored one by one.
            let step = if width == columns { block.len() } else { 1 };
            for row in Chunks::of(0..block.len(), step).map(|rows| rows.start) {
                let start = (block.start + row) * columns + columns_of_part.start;
                let mut to = core.tcm().stage(&mut dtable, start..start + step * width)?;
                for (to, sum) in to.iter_mut().zip(&sums[row * width..]) {
                    *to = T::from_f32(*sum);
                }
                to.store()?;
            }
        }
    }
    Ok(())
}
