//! [`Core::reduce`]: outputs with one element for every row.

use core::panic::Location;

use super::operands::Operands;
use super::outputs::Outputs;
use super::plan::Walk;
use super::results::Results;
use super::row::Row;
use super::rows::walk_rows;
use crate::engine_core::Core;
use crate::error::OpResult;

impl Core {
    /// Computes this core's share of `outputs`, an element for every row of the first operand, whether its rows lie apart or
    /// not: its last dimension at a time. `body` returns the elements for a row. Operands are as for [`rows`](Core::rows), broadcast to the first;
    /// `outputs` have as many elements as that has rows, whatever their shape.
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// # fn per_row(x: &TensorType) -> Result<TensorType, ShapeError> {
    /// #     let shape = x.expect_rank_at_least(1)?.shape();
    /// #     x.with_shape(&shape[..shape.len() - 1])
    /// # }
    /// /// y = the sum over the last dimension of x.  x: `[.., H]`, y: `[..]`.
    /// #[custom_op(shape = per_row)]
    /// pub fn sum(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    ///     core.reduce(&x, y, |mut row| Ok(row.fold(Lanes::splat(0.0), |sum, x| sum + x)?.sum()))
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// A row that does not fit in TCM is loaded part by part, anew for every pass that `body` makes over it. A row of no
    /// elements has results, too: a fold returns what it began with.
    ///
    /// # Errors
    /// Those of `body`; when an operand cannot be broadcast, outputs have another number of elements, or the pool has no
    /// room for 16 elements of each operand and 64 of each output.
    #[track_caller]
    #[inline(always)]
    pub fn reduce<'l, I: Operands<'l>, O: Outputs<'l>>(
        &'l self,
        operands: I,
        outputs: O,
        mut body: impl for<'r> FnMut(Row<'r, 'l, I, (), ()>) -> OpResult<O::Elements>,
    ) -> OpResult {
        let at = Location::caller();
        let walk = Walk::<I, ()>::new(self, operands, (), 0, at);
        walk_rows(walk, Results::new(self, outputs, at), |walk, part, _, kept| {
            Ok([body(Row::new(walk, part, kept.cast()))?])
        })
    }
}
