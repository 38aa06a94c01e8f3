//! How work is shared: everything once, in order, and evenly.

use gpsimd::{Chunks, Share};
use proptest::prelude::*;

fn shares(len: usize, granule: usize, count: usize) -> Vec<Share> {
    (0..count).map(|id| Share::new(len, granule, id, count)).collect()
}

#[test]
fn a_granule_or_a_count_of_0_counts_as_1() {
    assert_eq!(Share::new(10, 0, 1, 4), Share::new(10, 1, 1, 4));
    assert_eq!(Share::new(10, 3, 0, 0), Share::new(10, 3, 0, 1));
}

#[test]
fn with_fewer_granules_than_cores_the_last_cores_have_none() {
    let lens: Vec<_> = shares(40, 16, 8).iter().map(Share::len).collect();
    assert_eq!(lens, [16, 16, 8, 0, 0, 0, 0, 0]);
    assert!(Share::new(40, 16, 3, 8).is_empty());
    assert!(!Share::new(40, 16, 2, 8).is_empty());
}

#[test]
fn nothing_overflows_at_the_top_of_the_address_space() {
    let shares = shares(usize::MAX, 16, 8);
    assert_eq!(shares[7].range().end, usize::MAX);
    assert_eq!(Chunks::of(usize::MAX - 5..usize::MAX, 4).last(), Some(usize::MAX - 1..usize::MAX));
}

#[test]
#[should_panic(expected = "chunks of 0 elements")]
fn chunks_of_0_elements_are_refused() {
    let _ = Share::new(10, 1, 0, 1).chunks(0);
}

#[test]
fn nothing_in_chunks_of_0_elements_is_nothing() {
    assert_eq!(Share::new(10, 10, 1, 2).chunks(0).next(), None);
}

#[test]
#[should_panic(expected = "runs backwards")]
#[expect(clippy::reversed_empty_ranges, reason = "the mistake")]
fn chunks_of_a_range_that_runs_backwards_are_refused() {
    let _ = Chunks::of(5..3, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shares_follow_each_other_and_cover_everything_once(
        len in 0..5000_usize, granule in 1..70_usize, count in 1..=8_usize,
    ) {
        let mut next = 0;
        for share in shares(len, granule, count) {
            prop_assert_eq!(share.range().start, next);
            next = share.range().end;
        }
        prop_assert_eq!(next, len);
    }

    #[test]
    fn shares_differ_by_at_most_one_granule_of_which_the_last_may_be_partial(
        len in 0..5000_usize, granule in 1..70_usize, count in 1..=8_usize,
    ) {
        let shares = shares(len, granule, count);
        let granules = || shares.iter().map(|share| share.len().div_ceil(granule));
        prop_assert!(granules().max() <= granules().min().map(|least| least + 1));
    }

    #[test]
    fn shares_begin_at_a_granule(len in 0..5000_usize, granule in 1..70_usize, count in 1..=8_usize) {
        for share in shares(len, granule, count) {
            prop_assert!(share.range().start % granule == 0 || share.is_empty());
        }
    }

    #[test]
    fn chunks_are_the_share_in_pieces_of_one_length(len in 0..3000_usize, id in 0..8_usize, chunk in 1..500_usize) {
        let share = Share::new(len, 1, id, 8);
        let chunks: Vec<_> = share.chunks(chunk).collect();
        prop_assert_eq!(chunks.iter().flat_map(Clone::clone).collect::<Vec<_>>(), share.range().collect::<Vec<_>>());
        for (i, range) in chunks.iter().enumerate() {
            prop_assert!(range.len() == chunk || (i + 1 == chunks.len() && range.len() < chunk));
        }
    }
}
