//! [`Results`]: outputs with an element for every row of a walk.

use core::panic::Location;

use gpsimd_abi as abi;

use super::outputs::Outputs;
use super::plan::Area;
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::tcm::Reservation;

/// Rows whose results are stored together.
const ROWS: usize = 64;

/// Outputs with an element for every row of a walk.
pub(super) struct Results<'l, R: Outputs<'l>> {
    core: &'l Core,
    destinations: R::Destinations,
    /// Whether they are written where they are, without DMAs.
    is_direct: bool,
    at: &'static Location<'static>,
}

impl<'l, R: Outputs<'l>> Results<'l, R> {
    #[inline(always)]
    pub(super) fn new(core: &'l Core, results: R, at: &'static Location<'static>) -> Self {
        Self { core, destinations: results.destinations(), is_direct: false, at }
    }

    /// Whether there are any: known at compile time.
    #[inline(always)]
    pub(super) fn are_there() -> bool {
        R::dtype(0).is_some()
    }

    /// Rows whose results are stored together.
    #[inline(always)]
    pub(super) fn group() -> usize {
        if Self::are_there() { ROWS } else { usize::MAX }
    }

    /// Number of results: the `walked` rows, or, of rows of no elements, as many as the outputs have.
    pub(super) fn verify(&self, walked: usize, columns: usize) -> OpResult<usize> {
        let destinations = self.destinations.as_ref();
        let rows = destinations.first().map_or(0, |first| first.hbm.len);
        for destination in destinations {
            destination.verify(self.core, rows, self.at)?;
        }
        if rows == walked || columns == 0 {
            return Ok(rows);
        }
        let len = walked.saturating_mul(columns);
        let message = "a walk has a result for every row: {} elements in rows of {}, and outputs of {} elements";
        self.core.device.fail_with(abi::FAILURE_REFUSED, message, &[len, columns, rows], self.at);
        Err(OpError::Reported)
    }

    /// Takes TCM for results, and claims the share. In place the outputs hold what may have yet to be loaded.
    pub(super) fn take(&mut self, start: usize, len: usize) -> OpResult<Reservation<'l>> {
        let destinations = self.destinations.as_mut();
        let bytes = destinations.iter().map(|destination| destination.tcm_bytes(1, ROWS)).sum();
        let reservation = Reservation::take_bytes(self.core, bytes, self.at)?;
        let mut next = reservation.tcm;
        self.is_direct = !self.core.device.is_in_place();
        for destination in destinations {
            destination.tcm = next;
            next = next.wrapping_add(destination.tcm_bytes(1, ROWS));
            self.is_direct = self.is_direct && destination.claim(start, len, self.at)?;
        }
        Ok(reservation)
    }

    /// Where the results from row `first` on are to be written.
    #[inline(always)]
    pub(super) fn pointers(&self, first: usize) -> R::Pointers {
        R::pointers(self.destinations.as_ref(), first, 0, 0, self.is_direct)
    }

    /// Sends `count` results from `first` on.
    pub(super) fn store(&self, first: usize, count: usize) -> OpResult {
        if !self.is_direct {
            let area = Area { row: 0, rows: 1, column: 0, columns: count };
            for destination in self.destinations.as_ref() {
                destination.store(self.core, first, &area, self.at)?;
            }
        }
        Ok(())
    }
}
