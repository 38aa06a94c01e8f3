//! [`Gather`]: rows of a tensor, each where an index says, as an operand of a walk.

use core::marker::PhantomData;

use crate::element::Element;
use crate::tensor::{Hbm, Input};

/// Rows of a tensor, each where an index says: an operand of a walk, from [`Input::rows_at`].
pub struct Gather<'l, T> {
    pub(super) table: Hbm<'l>,
    pub(super) indices: Hbm<'l>,
    element: PhantomData<T>,
}

impl<'l, T: Element> Input<'l, T> {
    /// The rows of this tensor, along its last dimension, that `indices` names, as an operand of a walk: its shape is
    /// that of `indices` and the length of a row. Each core loads a tile of its share of the indices, and then every row
    /// by a DMA of its own; rows that follow each other come in one.
    ///
    /// An index that is negative, or not below the number of rows, is an error of the launch that names it.
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// fn rows(table: &TensorType, ids: &TensorType) -> Result<TensorType, ShapeError> {
    ///     table.expect_rank(2)?;
    ///     let mut shape = ids.shape();
    ///     shape.push(table.last_dim()).map_err(|_| ShapeError::new("the output has more than 8 dimensions"))?;
    ///     table.with_shape(&shape)
    /// }
    ///
    /// /// y = table[ids].  table: `[V, H]`, ids: any shape, y: `[.., H]`.
    /// #[custom_op(shape = rows)]
    /// pub fn gather_rows<T: Number>(core: &Core, table: Input<T>, ids: Input<i32>, y: Output<T>) -> OpResult {
    ///     core.map(&table.rows_at(&ids), y, |row| row)
    /// }
    /// # fn main() {}
    /// ```
    #[must_use]
    pub fn rows_at(&self, indices: &Input<'l, i32>) -> Gather<'l, T> {
        Gather { table: self.hbm, indices: indices.hbm, element: PhantomData }
    }
}
