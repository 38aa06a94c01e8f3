//! Rows of a table at indices.

use gpsimd::prelude::*;

pub(crate) fn rows_at(table: &TensorType, ids: &TensorType) -> Result<TensorType, ShapeError> {
    let mut shape = ids.shape();
    let columns = table.expect_rank(2)?.last_dim();
    shape.push(columns).map_err(|_| ShapeError::new("the output has more than 8 dimensions"))?;
    table.with_shape(&shape)
}

/// y = table\[ids\]: the rows of a table at indices from 0 on, as `torch.nn.functional.embedding`.
///
/// table: `[V, H]`, any element type; ids: any shape, i32, each from 0 to V - 1; y: `[.., H]`.
#[custom_op(shape = rows_at, gradient(table) = gather_rows_backward(grad, ids, table))]
pub fn gather_rows<T: Number>(core: &Core, table: Input<T>, ids: Input<i32>, y: Output<T>) -> OpResult {
    core.map(&table.rows_at(&ids), y, |row| row)
}
