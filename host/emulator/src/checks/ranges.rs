//! Ranges of elements: whether one is inside a tensor, and sets of them.

use std::collections::BTreeMap;
use std::ops::Range;

/// The elements `start..start + len`, if they are inside a tensor of `tensor_len` elements.
pub(crate) fn inside(start: u64, len: u64, tensor_len: u64) -> Option<Range<u64>> {
    let end = start.checked_add(len)?;
    (end <= tensor_len).then_some(start..end)
}

/// A set of elements, as ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default)]
pub(crate) struct RangeSet {
    /// Start to end.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Adds the elements of `range`.
    pub(crate) fn insert(&mut self, range: &Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        // Those that overlap or touch become part of the new one; each is removed once, so this is amortised.
        while let Some((&other, &other_end)) = self.ranges.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.ranges.remove(&other);
            start = start.min(other);
            end = end.max(other_end);
        }
        self.ranges.insert(start, end);
    }

    /// The ranges in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().map(|(&start, &end)| start..end)
    }

    /// The first range of elements that are in both `self` and `range`.
    pub(crate) fn first_in(&self, range: &Range<u64>) -> Option<Range<u64>> {
        let before = self.ranges.range(..=range.start).next_back();
        let after = self.ranges.range(range.start..).next();
        before
            .into_iter()
            .chain(after)
            .map(|(&start, &end)| start.max(range.start)..end.min(range.end))
            .find(|common| !common.is_empty())
    }

    /// The first range of elements that are in both sets.
    pub(crate) fn first_common(&self, other: &Self) -> Option<Range<u64>> {
        let (mut a, mut b) = (self.iter().peekable(), other.iter().peekable());
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let common = x.start.max(y.start)..x.end.min(y.end);
            if !common.is_empty() {
                return Some(common);
            }
            if x.end <= y.end {
                a.next();
            } else {
                b.next();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same set, element by element.
    fn model(ranges: &[Range<u64>]) -> Vec<bool> {
        let mut elements = vec![false; 70];
        for range in ranges {
            for element in range.clone() {
                elements[element as usize] = true;
            }
        }
        elements
    }

    fn set(ranges: &[Range<u64>]) -> RangeSet {
        let mut set = RangeSet::default();
        for range in ranges {
            set.insert(range);
        }
        set
    }

    /// The first run of `true`.
    fn first_run(elements: impl IntoIterator<Item = bool>) -> Option<Range<u64>> {
        let elements: Vec<_> = elements.into_iter().collect();
        let start = elements.iter().position(|&element| element)?;
        let len = elements[start..].iter().take_while(|&&element| element).count();
        Some(start as u64..(start + len) as u64)
    }

    fn any_range() -> impl Strategy<Value = Range<u64>> {
        (0..64_u64, 0..6_u64).prop_map(|(start, len)| start..start + len)
    }

    fn any_ranges() -> impl Strategy<Value = Vec<Range<u64>>> {
        prop::collection::vec(any_range(), 0..24)
    }

    proptest! {
        #[test]
        fn a_range_is_inside_exactly_when_its_end_is_without_overflow(
            start in any::<u64>(), len in any::<u64>(), tensor_len in any::<u64>(),
        ) {
            let end = u128::from(start) + u128::from(len);
            let expected = (end <= u128::from(tensor_len)).then_some(start..end as u64);
            prop_assert_eq!(inside(start, len, tensor_len), expected);
        }

        #[test]
        fn a_range_near_the_end_is_inside_exactly_when_it_fits(start in 0..20_u64, len in 0..20_u64) {
            prop_assert_eq!(inside(start, len, 16).is_some(), start + len <= 16);
        }

        #[test]
        fn a_set_holds_what_was_inserted_as_separate_ranges(ranges in any_ranges()) {
            let set = set(&ranges);
            let found: Vec<_> = set.iter().collect();
            prop_assert_eq!(model(&found), model(&ranges));
            prop_assert!(found.windows(2).all(|pair| pair[0].end < pair[1].start));
        }

        #[test]
        fn the_first_common_range_is_that_of_the_elements(a in any_ranges(), b in any_ranges()) {
            let common = model(&a).into_iter().zip(model(&b)).map(|(x, y)| x && y);
            prop_assert_eq!(set(&a).first_common(&set(&b)), first_run(common));
        }

        #[test]
        fn the_first_range_inside_another_is_that_of_the_elements(a in any_ranges(), b in any_range()) {
            let common = model(&a).into_iter().zip(model(std::slice::from_ref(&b))).map(|(x, y)| x && y);
            prop_assert_eq!(set(&a).first_in(&b), first_run(common));
        }
    }
}
