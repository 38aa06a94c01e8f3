//! Parts of the work that do not depend on the number of cores, and what becomes of partial results: ops of two phases.
//!
//! A sum over all rows needs what every core has, and nothing synchronises the cores of a launch. So it takes two: the
//! first, the kernel with `then = ..`, leaves a partial result for each of [`PARTS`] parts of the rows in an output that
//! is a workspace between the two; the second combines them in order. The order of additions follows from the number of
//! rows alone, so that the bits do not depend on how many cores there are.

use core::ops::Range;
use core::panic::Location;

use gpsimd_abi as abi;

use crate::LANES;
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

    /// Computes this core's share of `output`: for every element, `fold` of its [`PARTS`] partial results, in order of the
    /// parts, and `finish` of that. `partials`: `[PARTS, ..]`, as [`fold_rows`](Core::fold_rows) leaves them.
    ///
    /// # Errors
    /// When there are not as many partial results, or the pool has no room for 16 of them.
    #[track_caller]
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    pub fn combine<P: Element, T: Element>(
        &self,
        partials: &Input<'_, P>,
        mut output: Output<'_, T>,
        fold: impl Fn(P, P) -> P,
        finish: impl Fn(P) -> T,
    ) -> OpResult {
        let (len, tcm) = (output.len(), self.tcm());
        if Some(partials.len()) != len.checked_mul(PARTS) {
            let message = "{} partial results for {} elements, expected {} of each";
            self.device.fail_with(abi::FAILURE_REFUSED, message, &[partials.len(), len, PARTS], Location::caller());
            return Err(OpError::Reported);
        }
        // What is folded, the next part, and the output; no element has more bytes than an f32.
        let most = tcm.tile_len::<f32>(3).max(LANES);
        for range in self.share(len, LANES).chunks(most) {
            let mut folded = tcm.buffer::<P>(range.len())?;
            folded.load(partials, range.clone())?;
            for part in 1..PARTS {
                let next = tcm.load(partials, part * len + range.start..part * len + range.end)?;
                for (folded, next) in folded.iter_mut().zip(&*next) {
                    *folded = fold(*folded, *next);
                }
            }
            let mut stage = tcm.stage(&mut output, range)?;
            for (to, folded) in stage.iter_mut().zip(&*folded) {
                *to = finish(*folded);
            }
            stage.store()?;
        }
        Ok(())
    }
}
