//! [`Core::fold_rows`]: partial results with an element for every column.

use core::panic::Location;

use gpsimd_abi as abi;

use super::operands::Operands;
use super::outputs::Outputs;
use super::plan::{Area, Fit, Walk};
use crate::LANES;
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::parts::PARTS;
use crate::share::Chunks;

/// Bytes of TCM for every column of an output: no element type has more.
const ELEMENT: usize = 4;

impl Core {
    /// Computes this core's share of partial results, [`PARTS`] for every column of the first operand: its rows, of its
    /// last dimension, are in as many parts, and the rows of a part are folded in order. For the first of two phases, of
    /// which the second is [`combine`](Core::combine).
    ///
    /// A fold begins with `init`. For every row, `of_row` returns what folds it, `elements = f(elements, operands)`, for
    /// every column. Operands are as for [`rows`](Core::rows), broadcast to the first; `outputs` are `[PARTS, H]` each.
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// # fn of_parts(dy: &TensorType) -> Result<TensorType, ShapeError> {
    /// #     dy.expect_rank_at_least(1)?.with_dtype::<f32>().with_shape(&[PARTS, dy.last_dim()])
    /// # }
    /// # fn of_columns(sums: &TensorType) -> Result<TensorType, ShapeError> { sums.with_shape(&[sums.dim(1)]) }
    /// /// The sum of dy over all but the last dimension.  dy: `[.., H]`, in all: `[H]`.
    /// #[custom_op(shape = of_parts, then = sum_parts(sums))]
    /// pub fn sum_rows<T: Float>(core: &Core, dy: Input<T>, sums: Output<f32>) -> OpResult {
    ///     core.fold_rows(&dy, sums, 0.0, |_row| Ok(|sum, dy: T| sum + dy.to_f32()))
    /// }
    ///
    /// /// The second phase.
    /// #[custom_op(shape = of_columns)]
    /// pub fn sum_parts(core: &Core, sums: Input<f32>, y: Output<f32>) -> OpResult {
    ///     core.combine(&sums, y, |a, b| a + b, |sum| sum)
    /// }
    /// # mod library {
    /// #     use super::{sum_parts, sum_rows};
    /// #     gpsimd::prelude::op_library! { name: "sums", ops: [sum_rows, sum_parts] }
    /// # }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// Those of `of_row`; when an operand cannot be broadcast, outputs have another number of elements, or the pool has no
    /// room for 16 elements of each tensor.
    #[track_caller]
    #[inline(always)]
    pub fn fold_rows<'l, I: Operands<'l>, O: Outputs<'l>, F: Fn(O::Elements, I::Elements) -> O::Elements>(
        &'l self,
        operands: I,
        outputs: O,
        init: O::Elements,
        mut of_row: impl FnMut(usize) -> OpResult<F>,
    ) -> OpResult {
        let at = Location::caller();
        let mut destinations = outputs.destinations();
        let count = destinations.as_ref().len();
        let mut walk = Walk::<I, ()>::new(self, operands, (), count * ELEMENT, at);
        walk.prepare()?;
        let (rows, columns) = (walk.plan.extent.rows, walk.plan.extent.columns);
        for destination in destinations.as_ref() {
            if Some(destination.hbm.len) != columns.checked_mul(PARTS) {
                let message = "rows of {} elements have {} partial results for each, and an output has {} elements";
                self.device.fail_with(abi::FAILURE_REFUSED, message, &[columns, PARTS, destination.hbm.len], at);
                return Err(OpError::Reported);
            }
        }
        if columns == 0 {
            return Ok(());
        }
        // Whole vectors, so that the outputs' elements in TCM are aligned.
        let padded = columns.next_multiple_of(LANES);
        let (fitting, part) = match walk.fit(rows.div_ceil(PARTS), padded) {
            Fit::Rows(fitting) => (fitting, padded),
            Fit::Columns(part) => (1, part),
        };
        let reservation = walk.take(fitting, part)?;
        for (index, destination) in destinations.as_mut().iter_mut().enumerate() {
            destination.tcm = reservation.tcm.wrapping_add(index * part * ELEMENT);
        }
        walk.claim(0, 0)?;
        let fitting = if part == padded && walk.copies_nothing() { rows } else { fitting };
        for (number, rows) in self.parts(rows) {
            for chunk in Chunks::of(0..columns, part) {
                let to = O::pointers(destinations.as_ref(), 0, 0, 0, false);
                for i in 0..chunk.len() {
                    // SAFETY: each leads to room for `part` elements in TCM that is this walk's alone.
                    unsafe { O::write(to, i, init) };
                }
                let mut next = rows.start;
                while next < rows.end {
                    let count = walk.rows_from(next, fitting.min(rows.end - next));
                    let area = Area { row: next, rows: count, column: chunk.start, columns: chunk.len() };
                    walk.load(&area)?;
                    let mut row = 0;
                    // What is in a column is loaded and stored once for several rows.
                    #[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
                    while row + 4 <= count {
                        let [a, b, c, d] = [0, 1, 2, 3].map(|i| walk.row(&area, row + i));
                        let number = next + row;
                        let (of_a, of_b) = (of_row(number)?, of_row(number + 1)?);
                        let (of_c, of_d) = (of_row(number + 2)?, of_row(number + 3)?);
                        for i in 0..chunk.len() {
                            // SAFETY: as below.
                            unsafe {
                                let elements = of_b(of_a(O::read(to, i), I::read(a, i)), I::read(b, i));
                                O::write(to, i, of_d(of_c(elements, I::read(c, i)), I::read(d, i)));
                            }
                        }
                        row += 4;
                    }
                    while row < count {
                        let f = of_row(next + row)?;
                        let from = walk.row(&area, row);
                        for i in 0..chunk.len() {
                            // SAFETY: as above, and they were written; `i` is below the number of columns that `load`
                            // brought.
                            unsafe { O::write(to, i, f(O::read(to, i), I::read(from, i))) };
                        }
                        row += 1;
                    }
                    next += count;
                }
                let area = Area { row: 0, rows: 1, column: 0, columns: chunk.len() };
                for destination in destinations.as_ref() {
                    destination.store(self, number * columns + chunk.start, &area, at)?;
                }
            }
        }
        Ok(())
    }
}
