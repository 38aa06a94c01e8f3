//! `gpsimd::lanes` against what is said of it, one element at a time.

use std::cmp::Reverse;
use std::fmt::Debug;

use gpsimd::lanes::{
    Compacted, Extreme, Lane, Order, any, argmax, argmin, compact, compare_exchange, cumsum, from_key, gather, key,
    merge, position, scan, scan_back, sort, wrapping_cumsum,
};
use gpsimd::{Integer, Lanes};
use proptest::collection::vec;
use proptest::prelude::*;

/// Floats with what is special among them, and ties.
fn floats(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f32>> {
    let notable = [0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN, f32::MAX, 1e-45];
    vec(prop_oneof![prop::sample::select(notable.to_vec()), any_f32(), -4.0_f32..4.0], len)
}

fn any_f32() -> impl Strategy<Value = f32> {
    any_u32().prop_map(f32::from_bits)
}

fn any_u32() -> impl Strategy<Value = u32> {
    proptest::arbitrary::any::<u32>()
}

fn integers<T: Debug + Copy + 'static>(
    notable: &[T],
    of: fn(i32) -> T,
    len: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<T>> + use<T> {
    let random = any_u32().prop_map(move |bits| of(bits as i32));
    vec(prop_oneof![prop::sample::select(notable.to_vec()), random], len)
}

fn i32s(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<i32>> {
    integers(&[i32::MIN, i32::MAX, 0, 1, 2, -1], |x| x, len)
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// What the documentation of `scan` says, word for word.
fn reference_scan<T: Lane>(x: &[T], mut carry: T, f: impl Fn(T, T) -> T) -> (Vec<T>, T) {
    let mut result = Vec::new();
    for block in x.chunks(T::COUNT) {
        let mut block = block.to_vec();
        let mut step = 1;
        while step < T::COUNT {
            let before = block.clone();
            for i in step..block.len() {
                block[i] = f(before[i - step], before[i]);
            }
            step *= 2;
        }
        result.extend(block.iter().map(|x| f(carry, *x)));
        carry = *result.last().expect("not empty");
    }
    (result, carry)
}

/// Reductions, scans and extremes of an integer type.
fn verify_integers<T: Integer + Into<i64> + Debug>(x: &[T], y: &[T], least: T, greatest: T) {
    let mut sum = Lanes::splat(T::ZERO);
    sum.fold(x, T::wrapping_add);
    assert_eq!(sum.wrapping_sum(), x.iter().fold(T::ZERO, |sum, x| sum.wrapping_add(*x)));
    let mut max = Lanes::splat(least);
    max.fold(x, Ord::max);
    assert_eq!(max.max(), x.iter().copied().max().unwrap_or(least));
    let mut min = Lanes::splat(greatest);
    min.fold(x, Ord::min);
    assert_eq!(min.min(), x.iter().copied().min().unwrap_or(greatest));
    let mut products = Lanes::splat(T::ZERO);
    products.fold3(x, y, x, |sum, x, y, z| sum.wrapping_add(x.wrapping_mul(y).wrapping_mul(z)));
    let expected = x.iter().zip(y).map(|(x, y)| x.wrapping_mul(*y).wrapping_mul(*x));
    assert_eq!(products.wrapping_sum(), expected.fold(T::ZERO, T::wrapping_add));

    let mut sums = x.to_vec();
    let mut running = T::from_i32_wrapping(3);
    let carry = wrapping_cumsum(&mut sums, running);
    for (x, sum) in x.iter().zip(&sums) {
        running = running.wrapping_add(*x);
        assert_eq!(*sum, running);
    }
    assert_eq!(carry, running);

    let expected = x.iter().enumerate().max_by_key(|(i, x)| (**x, Reverse(*i)));
    assert_eq!(argmax(x, 7), expected.map(|(i, x)| Extreme { value: *x, index: i as i32 + 7 }));
    let expected = x.iter().enumerate().min_by_key(|(i, x)| (**x, *i));
    assert_eq!(argmin(x, 7), expected.map(|(i, x)| Extreme { value: *x, index: i as i32 + 7 }));
    verify_selection(x, |x| x.into() % 3 == 0);
}

fn verify_selection<T: Copy + PartialEq + Debug>(x: &[T], is: impl Fn(T) -> bool + Copy) {
    let expected: Vec<i32> = (0..x.len() as i32).filter(|i| is(x[*i as usize])).collect();
    assert_eq!(any(x, is), !expected.is_empty());
    assert_eq!(position(x, is), expected.first().map(|i| *i as usize));
    let mut indices = vec![-1; x.len()];
    let compacted = compact(x, 100, is, &mut indices);
    assert_eq!(compacted, Compacted { taken: x.len(), found: expected.len() });
    let found = &indices[..compacted.found];
    assert_eq!(found, expected.iter().map(|i| i + 100).collect::<Vec<_>>());
    assert!(indices[compacted.found..].iter().all(|index| *index == -1), "only what was found is written");
    let mut values = x[..found.len()].to_vec();
    gather(x, 100, found, &mut values);
    let same = values.iter().zip(&expected).all(|(value, i)| is(*value) && is(x[*i as usize]));
    assert!(same && values.len() == expected.len());
}

/// A stable sort by key, as PyTorch's.
fn sorted(keys: &[i32], indices: &[i32], order: Order) -> Vec<(i32, i32)> {
    let mut pairs: Vec<_> = keys.iter().copied().zip(indices.iter().copied()).collect();
    match order {
        Order::Ascending => pairs.sort_by_key(|(key, index)| (*key, *index)),
        Order::Descending => pairs.sort_by_key(|(key, index)| (Reverse(*key), *index)),
    }
    pairs
}

fn pairs(keys: &[i32], indices: &[i32]) -> Vec<(i32, i32)> {
    keys.iter().copied().zip(indices.iter().copied()).collect()
}

proptest! {
    #[test]
    fn integers_are_reduced_scanned_and_searched(
        a in i32s(0..700),
        b in integers(&[i16::MIN, i16::MAX, 0, -1], |x| x as i16, 0..700),
        c in integers(&[i8::MIN, i8::MAX, 0, -1], |x| x as i8, 0..700),
        d in integers(&[0, 1, 255], |x| x as u8, 0..700),
    ) {
        fn with<T: Integer + Into<i64> + Debug>(x: &[T], least: T, greatest: T) {
            let mut y = x.to_vec();
            y.reverse();
            verify_integers(x, &y, least, greatest);
        }
        with(&a, i32::MIN, i32::MAX);
        with(&b, i16::MIN, i16::MAX);
        with(&c, i8::MIN, i8::MAX);
        with(&d, 0, 255);
    }

    #[test]
    fn floats_are_summed_in_the_order_that_is_documented(x in floats(0..2500), carry in -4.0_f32..4.0) {
        let mut sums = x.clone();
        let last = cumsum(&mut sums, carry);
        let (expected, expected_last) = reference_scan(&x, carry, |sum, x| sum + x);
        prop_assert_eq!(bits(&sums), bits(&expected));
        prop_assert_eq!(bits(&[last]), bits(&[expected_last]));
    }

    #[test]
    fn prefix_sums_are_the_same_wherever_a_row_is_cut(x in vec(-4.0_f32..4.0, 0..3000), tile in 1_usize..120) {
        let mut whole = x.clone();
        let total = cumsum(&mut whole, 0.0);
        let mut tiles = x;
        let carry = tiles.chunks_mut(tile * 16).fold(0.0, |carry, tile| cumsum(tile, carry));
        prop_assert_eq!(bits(&tiles), bits(&whole));
        prop_assert_eq!(carry.to_bits(), total.to_bits());
    }

    #[test]
    fn from_the_last_to_the_first_the_bits_are_those_of_the_elements_the_other_way_around(
        x in floats(0..700), integers in integers(&[0], |x| x as i16, 0..300), carry in -4.0_f32..4.0,
    ) {
        let (mut sums, mut back) = (x.iter().rev().copied().collect::<Vec<_>>(), x.clone());
        let (last, first) = (scan(&mut sums, carry, |sum, x| sum + x), scan_back(&mut back, carry, |sum, x| sum + x));
        back.reverse();
        prop_assert_eq!(bits(&back), bits(&sums));
        prop_assert_eq!(bits(&[first]), bits(&[last]));

        let (mut lanes, mut lanes_back) = (Lanes::splat(carry), Lanes::splat(carry));
        lanes.fold(&x.iter().rev().copied().collect::<Vec<_>>(), |sum, x| sum + x);
        lanes_back.fold_back(&x, |sum, x| sum + x);
        let add = |a: f32, b: f32| a + b;
        prop_assert_eq!(bits(&[lanes_back.reduce_back(add)]), bits(&[lanes.reduce(add)]));

        let (mut sums, mut back) = (integers.iter().rev().copied().collect::<Vec<_>>(), integers);
        scan(&mut sums, 0, i16::wrapping_add);
        scan_back(&mut back, 0, i16::wrapping_add);
        back.reverse();
        prop_assert_eq!(back, sums);
    }

    #[test]
    fn a_scan_keeps_the_order_of_its_operands(x in integers(&[0], |x| (x % 10) as u8, 0..300)) {
        // The later, where it is not 0: associative, and not commutative.
        let last = |earlier: u8, later: u8| if later == 0 { earlier } else { later };
        let mut scanned = x.clone();
        scan(&mut scanned, 7, last);
        let mut carry = 7;
        let expected: Vec<_> = x.iter().map(|x| { carry = last(carry, *x); carry }).collect();
        prop_assert_eq!(&scanned, &expected);
        // In vectors of 16, too.
        let last = |earlier: i32, later: i32| if later == 0 { earlier } else { later };
        let mut wide: Vec<i32> = x.iter().map(|x| i32::from(*x)).collect();
        scan(&mut wide, 7, last);
        prop_assert!(wide.iter().copied().eq(expected.iter().map(|x| i32::from(*x))));
    }

    #[test]
    fn a_key_has_the_place_of_its_float(x in floats(2..3)) {
        let (a, b) = (x[0], x[1]);
        if a.is_nan() || b.is_nan() {
            prop_assert_eq!(key(a).cmp(&key(b)), a.is_nan().cmp(&b.is_nan()));
        } else {
            prop_assert_eq!(key(a).cmp(&key(b)), a.partial_cmp(&b).expect("numbers"));
        }
        prop_assert!(from_key(key(a)) == a || (from_key(key(a)).is_nan() && a.is_nan()));
    }

    #[test]
    fn the_extremes_of_floats_are_those_of_pytorch(x in floats(1..400), tile in 1_usize..130) {
        let beyond = |sign: i32| {
            // NaN is both the greatest and the least.
            let rank = |x: f32| if x.is_nan() { i64::MAX } else { i64::from(sign) * i64::from(key(x)) };
            (0..x.len()).max_by_key(|i| (rank(x[*i]), Reverse(*i))).expect("not empty")
        };
        let tiles = || x.chunks(tile).enumerate().map(|(i, x)| (x, (i * tile) as i32));
        let max = tiles().filter_map(|(x, first)| argmax(x, first)).reduce(Extreme::max).expect("not empty");
        let min = tiles().filter_map(|(x, first)| argmin(x, first)).reduce(Extreme::min).expect("not empty");
        for (extreme, expected) in [(max, beyond(1)), (min, beyond(-1))] {
            prop_assert_eq!(extreme.index as usize, expected);
            prop_assert_eq!(key(extreme.value), key(x[expected]));
        }
    }

    #[test]
    fn floats_are_selected(x in floats(0..700)) {
        let keys: Vec<f32> = x.iter().map(|x| from_key(key(*x))).collect();
        verify_selection(&keys.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), |x| f32::from_bits(x) > 0.0);
        prop_assert_eq!(any(&x, f32::is_nan), x.iter().any(|x| x.is_nan()));
        prop_assert_eq!(position(&x, |x| x > 0.5 || x.is_nan()), x.iter().position(|x| *x > 0.5 || x.is_nan()));
    }

    #[test]
    fn a_selection_goes_on_where_it_had_no_room(x in vec(-1.0_f32..1.0, 0..900), room in 64_usize..200) {
        let (mut indices, mut found, mut at) = (vec![0; room], Vec::new(), 0);
        while at < x.len() {
            let compacted = compact(&x[at..], at as i32, |x| x > -0.5, &mut indices);
            prop_assert!(compacted.taken > 0);
            found.extend_from_slice(&indices[..compacted.found]);
            at += compacted.taken;
        }
        let expected: Vec<i32> = (0..x.len() as i32).filter(|i| x[*i as usize] > -0.5).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn keys_are_sorted_with_their_indices(x in i32s(1024..1025), few in 0_i32..20, size in 5_u32..11) {
        for order in [Order::Ascending, Order::Descending] {
            for ties in [false, true] {
                let len = 1 << size;
                let mut keys: Vec<i32> = x[..len].iter().map(|x| if ties { x % (few + 1) } else { *x }).collect();
                let mut indices: Vec<i32> = (0..len as i32).collect();
                let expected = sorted(&keys, &indices, order);
                sort(&mut keys, &mut indices, order);
                prop_assert_eq!(pairs(&keys, &indices), expected);
            }
        }
    }

    #[test]
    fn the_best_are_kept_of_two_sorted_sequences(x in i32s(512..513), few in 0_i32..40, size in 5_u32..9, other in 5_u32..9) {
        for order in [Order::Ascending, Order::Descending] {
            let (len, others) = (1 << size, 1 << other.min(size));
            let keys: Vec<i32> = x.iter().map(|x| x % (few + 1)).collect();
            let (mut a, mut b) = (keys[..len].to_vec(), keys[len..len + others].to_vec());
            let (mut of_a, mut of_b): (Vec<i32>, Vec<i32>) = ((0..len as i32).collect(), (1000..1000 + others as i32).collect());
            sort(&mut a, &mut of_a, order);
            sort(&mut b, &mut of_b, order);
            let (all_keys, all_indices) = ([&*a, &*b].concat(), [&*of_a, &*of_b].concat());
            merge((&mut a, &mut of_a), (&b, &of_b), order);
            prop_assert_eq!(pairs(&a, &of_a), sorted(&all_keys, &all_indices, order)[..len].to_vec());
        }
    }

    #[test]
    fn two_sequences_are_exchanged_in_order(a in i32s(100..101), b in i32s(100..101)) {
        let (mut first, mut second) = (a.clone(), b.clone());
        let (mut of_first, mut of_second): (Vec<i32>, Vec<i32>) = ((0..100).collect(), (100..200).collect());
        compare_exchange((&mut first, &mut of_first), (&mut second, &mut of_second), Order::Ascending);
        for i in 0..100 {
            let (i_a, i_b) = (i as i32, i as i32 + 100);
            let expected = if a[i] <= b[i] { [(a[i], i_a), (b[i], i_b)] } else { [(b[i], i_b), (a[i], i_a)] };
            prop_assert_eq!([(first[i], of_first[i]), (second[i], of_second[i])], expected);
        }
    }
}

#[test]
fn sorts_of_sizes_without_a_network_are_refused() {
    for len in [0, 16, 33, 48] {
        let sorting = std::panic::catch_unwind(|| sort(&mut vec![0; len], &mut vec![0; len], Order::Ascending));
        assert!(sorting.is_err(), "{len}");
    }
}

#[test]
fn indices_outside_of_the_elements_are_refused() {
    for index in [9, 13, -1] {
        let gathering = std::panic::catch_unwind(|| gather(&[1, 2, 3], 10, &[10, index], &mut [0; 2]));
        assert!(gathering.is_err(), "{index}");
    }
    // Wherever they are, in whole vectors or behind these.
    for place in 0..101 {
        for index in [64, -1, i32::MIN, i32::MAX] {
            let mut indices = [63; 101];
            indices[place] = index;
            let gathering = std::panic::catch_unwind(|| gather(&[1_u8; 64], 0, &indices, &mut [0; 101]));
            assert!(gathering.is_err(), "{index} at {place}");
        }
    }
    gather(&[0_u8; 0], 0, &[], &mut []);
}

#[test]
fn a_fold_of_several_slices_ends_with_the_shortest() {
    let (long, short) = ([1_i32; 100], [1_i32; 37]);
    for (a, b, c) in [(&short[..], &long[..], &long[..]), (&long, &short, &long), (&long, &long, &short)] {
        let mut lanes = Lanes::splat(0_i32);
        lanes.fold3(a, b, c, |sum, a, b, c| sum + a * b * c);
        assert_eq!(lanes.wrapping_sum(), 37);
    }
    for (a, b) in [(&short[..], &long[..]), (&long, &short)] {
        let mut lanes = Lanes::splat(0_i32);
        lanes.fold2(a, b, |sum, a, b| sum + a * b);
        assert_eq!(lanes.wrapping_sum(), 37);
    }
}
