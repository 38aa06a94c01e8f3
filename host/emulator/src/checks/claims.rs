//! [`Claims`]: which elements of the output each core writes in fast mode, where nothing else stands between two cores.
//!
//! A core claims elements before it writes them, and is refused those of another core: so safe kernels never hold two
//! mutable views of one element, and what no core claimed was never written.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use gpsimd_descriptor::limits::CORES;

use super::RangeSet;

/// The claims of all cores during a run.
///
/// Most kernels write a share from one end to the other, so a core's adjoining claims are one span that only that core
/// moves. Cores do not wait for each other while they extend their spans: each first publishes its own, then looks at
/// the others', all sequentially consistent, so that of two that overlap at least one sees it.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    spans: [Span; CORES],
    /// Spans that cores have finished with. A span is added here before its core begins another.
    finished: Mutex<[RangeSet; CORES]>,
    /// Number of times that a span was finished.
    finished_count: AtomicUsize,
    is_used: AtomicBool,
}

/// What one core claims now; on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Span {
    start: AtomicU64,
    end: AtomicU64,
}

impl Span {
    fn range(&self) -> Range<u64> {
        self.start.load(Ordering::SeqCst)..self.end.load(Ordering::SeqCst)
    }
}

fn common(a: &Range<u64>, b: &Range<u64>) -> Option<Range<u64>> {
    let common = a.start.max(b.start)..a.end.min(b.end);
    (common.start < common.end).then_some(common)
}

impl Claims {
    /// Claims `range` for `core`, which calls this from one thread.
    ///
    /// # Errors
    /// Elements that another core has claimed, and that core.
    pub(crate) fn claim(&self, core: usize, range: &Range<u64>) -> Result<(), (Range<u64>, u32)> {
        if range.is_empty() {
            return Ok(());
        }
        self.is_used.store(true, Ordering::SeqCst);
        let own = &self.spans[core];
        let current = own.range();
        if current.start <= range.start && range.end <= current.end {
            return Ok(());
        }
        let adjoins = !current.is_empty() && range.start == current.end;
        if adjoins {
            own.end.store(range.end, Ordering::SeqCst);
            let others = self.spans.iter().enumerate().filter(|(other, _)| *other != core);
            let is_free = others.map(|(_, span)| span.range()).all(|other| common(&other, range).is_none());
            if is_free && self.finished_count.load(Ordering::SeqCst) == 0 {
                return Ok(());
            }
        }
        // Under the lock no core begins a span, so that what is seen of the others' is whole.
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        if !adjoins {
            if !current.is_empty() {
                finished[core].insert(&current);
                self.finished_count.fetch_add(1, Ordering::SeqCst);
            }
            // Empty while it moves.
            own.end.store(0, Ordering::SeqCst);
            own.start.store(range.start, Ordering::SeqCst);
            own.end.store(range.end, Ordering::SeqCst);
        }
        for other in (0..CORES).filter(|other| *other != core) {
            let taken = common(&self.spans[other].range(), range).or_else(|| finished[other].first_in(range));
            if let Some(taken) = taken {
                // What is refused is not claimed, also when the kernel asks for it again.
                own.end.store(if adjoins { current.end } else { 0 }, Ordering::SeqCst);
                return Err((taken, other as u32));
            }
        }
        Ok(())
    }

    /// Whether any core has claimed anything.
    pub(crate) fn are_any(&self) -> bool {
        self.is_used.load(Ordering::SeqCst)
    }

    /// Adds what the cores have claimed, when none runs any more.
    pub(crate) fn add_to(&self, ranges: &mut Vec<Range<u64>>) {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        ranges.extend(finished.iter().flat_map(RangeSet::iter));
        ranges.extend(self.spans.iter().map(Span::range));
    }

    /// What a core has claimed, when none runs any more.
    pub(crate) fn of(&self, core: usize) -> RangeSet {
        let mut all = self.finished.lock().unwrap_or_else(PoisonError::into_inner)[core].clone();
        all.insert(&self.spans[core].range());
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_core_may_claim_its_own_elements_again() {
        let claims = Claims::default();
        for range in [0..16, 16..32, 8..24, 64..80, 0..8] {
            assert_eq!(claims.claim(0, &range), Ok(()));
        }
        let written: Vec<_> = claims.of(0).iter().collect();
        assert_eq!(written, [0..32, 64..80]);
    }

    #[test]
    fn elements_of_another_core_are_refused_wherever_it_has_gone_since() {
        let claims = Claims::default();
        for range in [0..16, 100..116, 200..216] {
            assert_eq!(claims.claim(3, &range), Ok(()));
        }
        for (range, taken) in [(15..20, 15..16), (90..101, 100..101), (215..300, 215..216)] {
            assert_eq!(claims.claim(4, &range), Err((taken.clone(), 3)));
            assert_eq!(claims.claim(4, &taken), Err((taken, 3)), "asked again");
        }
    }

    #[test]
    fn of_two_cores_that_claim_the_same_elements_at_least_one_is_refused() {
        for _ in 0..200 {
            let claims = Claims::default();
            let refused = std::thread::scope(|scope| {
                let run = |core| {
                    let claims = &claims;
                    move || (0..64_u64).filter(|at| claims.claim(core, &(at * 8..at * 8 + 8)).is_err()).count()
                };
                [run(0), run(1)].map(|run| scope.spawn(run)).map(|thread| thread.join().unwrap()).iter().sum::<usize>()
            });
            assert!(refused >= 64, "each of 64 ranges is refused to one core at least, {refused} were");
        }
    }

    proptest! {
        #[test]
        fn a_claim_is_refused_exactly_when_another_core_has_claimed_an_element(
            steps in prop::collection::vec((0..3_usize, 0..40_u64, 0..6_u64), 0..40),
        ) {
            let claims = Claims::default();
            let mut owners = [[false; 64]; CORES];
            for (core, start, len) in steps {
                let range = start..start + len;
                let taken = (0..CORES).any(|other| other != core && range.clone().any(|at| owners[other][at as usize]));
                prop_assert_eq!(claims.claim(core, &range).is_err(), taken);
                range.filter(|_| !taken).for_each(|at| owners[core][at as usize] = true);
            }
        }
    }
}
