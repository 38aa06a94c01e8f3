//! [`Core::reduce`]: outputs with one element for every row.

use core::panic::Location;

use gpsimd_abi::{self as abi};

use super::destination::Destination;
use super::operands::Operands;
use super::outputs::Outputs;
use super::plan::{Area, Fit, Walk};
use super::row::{Row, RowPart};
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::tcm::Reservation;

/// Results that are stored together.
const RESULTS: usize = 64;

impl Core {
    /// Computes this core's share of `outputs`, an element for every row of the first operand: its last dimension at a
    /// time. `body` returns the elements for a row. Operands are as for [`rows`](Core::rows), broadcast to the first;
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
        let mut results = Results { core: self, destinations: outputs.destinations(), is_direct: false, at };
        let mut walk = Walk::<I, ()>::new(self, operands, (), 0, at);
        walk.prepare()?;
        let columns = walk.plan.extent.columns;
        let rows = results.verify(walk.plan.extent.len(), columns)?;
        let share = self.share(rows, 1).range();
        if share.is_empty() {
            return Ok(());
        }
        let _of_results = results.take(share.start, share.len())?;
        let (fitting, part) = match walk.fit(share.len().min(RESULTS), columns) {
            Fit::Rows(fitting) => (fitting, columns),
            Fit::Columns(part) => (1, part),
        };
        let _reservation = walk.take(fitting, part)?;
        walk.claim(0, 0)?;
        let is_whole = part == columns;
        let fitting = if is_whole && walk.copies_nothing() { RESULTS } else { fitting };
        let mut next = share.start;
        while next < share.end {
            let end = share.end.min(next + RESULTS);
            let to = O::pointers(results.destinations.as_ref(), next, 0, 0, results.is_direct);
            let first = next;
            while next < end {
                let count = walk.rows_from(next, fitting.min(end - next));
                let area = Area { row: next, rows: count, column: 0, columns };
                if is_whole && columns > 0 {
                    walk.load(&area)?;
                }
                for row in 0..count {
                    let part = RowPart { area, row, part, is_whole };
                    let elements = body(Row::new(&mut walk, part, core::ptr::null_mut()))?;
                    // SAFETY: each leads to this core's elements from `first` on, or to room for `RESULTS` in TCM.
                    unsafe { O::write(to, next - first + row, elements) };
                }
                next += count;
            }
            results.store(first, next - first)?;
        }
        Ok(())
    }
}

/// The outputs of a reduction.
struct Results<'l, D> {
    core: &'l Core,
    destinations: D,
    /// Whether they are written where they are, without DMAs.
    is_direct: bool,
    at: &'static Location<'static>,
}

impl<'l, D: AsRef<[Destination<'l>]> + AsMut<[Destination<'l>]>> Results<'l, D> {
    /// Number of rows of `columns` elements, of which there are `len` in all.
    fn verify(&self, len: usize, columns: usize) -> OpResult<usize> {
        let destinations = self.destinations.as_ref();
        let rows = destinations.first().map_or(0, |first| first.hbm.len);
        for destination in destinations {
            destination.verify(self.core, rows, self.at)?;
        }
        if rows.checked_mul(columns) == Some(len) {
            return Ok(rows);
        }
        let message = "a reduction has a result for every row: {} elements in rows of {}, and outputs of {} elements";
        self.core.device.fail_with(abi::FAILURE_REFUSED, message, &[len, columns, rows], self.at);
        Err(OpError::Reported)
    }

    /// Takes TCM for results, and claims the share. In place the outputs hold what may have yet to be loaded.
    fn take(&mut self, start: usize, len: usize) -> OpResult<Reservation<'l>> {
        let destinations = self.destinations.as_mut();
        let bytes = destinations.iter().map(|destination| destination.tcm_bytes(1, RESULTS)).sum();
        let reservation = Reservation::take_bytes(self.core, bytes, self.at)?;
        let mut next = reservation.tcm;
        self.is_direct = !self.core.device.is_in_place();
        for destination in destinations {
            destination.tcm = next;
            next = next.wrapping_add(destination.tcm_bytes(1, RESULTS));
            self.is_direct = self.is_direct && destination.claim(start, len, self.at)?;
        }
        Ok(reservation)
    }

    /// Sends `count` results from `start` on.
    fn store(&self, start: usize, count: usize) -> OpResult {
        if !self.is_direct {
            let area = Area { row: 0, rows: 1, column: 0, columns: count };
            for destination in self.destinations.as_ref() {
                destination.store(self.core, start, &area, self.at)?;
            }
        }
        Ok(())
    }
}
