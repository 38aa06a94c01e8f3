//! Parts of the work that do not depend on the number of cores, and what becomes of partial results: ops of two phases.
//!
//! A sum over all rows needs what every core has, and nothing synchronises the cores of a launch. So it takes two: the
//! first, the kernel with `then = ..`, leaves a partial result for each of [`PARTS`] parts of the rows in an output that
//! is a workspace between the two; the second combines them in order. The order of additions follows from the number of
//! rows alone, so that the bits do not depend on how many cores there are.

use core::ops::Range;

use gpsimd_abi as abi;

use crate::element::Element;
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::share::Share;
use crate::tensor::{Input, Output};

/// Parts of the work of a first phase: as many as an engine has cores.
pub const PARTS: usize = 8;

impl Core {
    /// This core's parts of `len` elements: the number of each part, below [`PARTS`], and its range, which may be empty.
    /// All parts together cover everything once, in order, and are the same whatever the number of cores.
    pub fn parts(&self, len: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.share(PARTS, 1).range().map(move |part| (part, Share::new(len, 1, part, PARTS).range()))
    }

    /// Computes this core's share of `output`, `[N]`: `f` of the [`PARTS`] partial results for an element, in order of the
    /// parts. `partials`: `[PARTS, N]`, as [`fold_rows`](Core::fold_rows) leaves them.
    ///
    /// # Errors
    /// When there are not as many partial results, or the pool has no room for 16 of each part.
    #[track_caller]
    #[inline(always)]
    pub fn combine<P: Element, T: Element>(
        &self,
        partials: &Input<'_, P>,
        output: Output<'_, T>,
        f: impl Fn([P; PARTS]) -> T,
    ) -> OpResult {
        let len = output.len();
        if Some(partials.len()) != len.checked_mul(PARTS) {
            let message = "there are {} partial results for {} elements, expected {} for each";
            let at = core::panic::Location::caller();
            self.device.fail_with(abi::FAILURE_REFUSED, message, &[partials.len(), len, PARTS], at);
            return Err(OpError::Reported);
        }
        if len == 0 {
            return Ok(());
        }
        let [a, b, c, d, e, g, h, i] = core::array::from_fn(|part| partials.part(part * len..(part + 1) * len));
        self.map((&a, &b, &c, &d, &e, &g, &h, &i), output, |(a, b, c, d, e, g, h, i)| f([a, b, c, d, e, g, h, i]))
    }
}
