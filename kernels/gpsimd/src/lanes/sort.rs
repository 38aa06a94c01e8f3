//! [`sort`] and [`merge`]: keys with their indices, sorted by bitonic networks.
//!
//! A network is a fixed sequence of steps, each of which compares all elements in pairs at a fixed distance. At
//! distances of whole vectors such a step is [`compare_exchange`] of two slices. Smaller ones are steps of Stone's network
//! instead: of a block of two vectors, element `i` of the first is compared with element `i` of the second, and they
//! become elements `2 i` and `2 i + 1`. By this perfect shuffle the next step has pairs at half the distance in the same
//! places, and after five the elements are back (H. S. Stone, Parallel processing with the perfect shuffle, 1971).

use core::hint::black_box;

use super::Order;
use crate::LANES;

/// Two vectors.
const BLOCK: usize = 2 * LANES;
/// Shuffles of a block after which its elements are back: its bits.
const SHUFFLES: usize = BLOCK.trailing_zeros() as usize;

/// Puts the element that comes first of `keys_a[i]` and `keys_b[i]` into the first, and the other into the second; the
/// indices with them. Of equal keys the one of the lower index comes first.
///
/// ```
/// use gpsimd::lanes::{Order, compare_exchange};
///
/// let (mut a, mut of_a, mut b, mut of_b) = ([1, 5], [0, 1], [2, 5], [2, 3]);
/// compare_exchange((&mut a, &mut of_a), (&mut b, &mut of_b), Order::Descending);
/// assert_eq!((a, of_a), ([2, 5], [2, 1]));
/// assert_eq!((b, of_b), ([1, 5], [0, 3]));
/// ```
///
/// # Panics
/// When the slices are not of one length.
#[track_caller]
#[inline(always)]
pub fn compare_exchange(a: (&mut [i32], &mut [i32]), b: (&mut [i32], &mut [i32]), order: Order) {
    let len = a.0.len();
    assert!(a.1.len() == len && b.0.len() == len && b.1.len() == len, "slices of different lengths");
    exchange(a, b, flip_of(order), false);
}

/// Sorts keys, and the indices with them. Of equal keys the one of the lower index comes first: a stable sort, where the
/// indices are 0, 1, 2, ...
///
/// The number of elements is a power of two, from 32 on. Fewer are filled up with the key that comes last, `i32::MIN` or
/// `i32::MAX`, and the index `i32::MAX`. Floats are sorted by their [`key`](super::key).
///
/// ```
/// use gpsimd::lanes::{Order, key, sort};
///
/// let x: [f32; 32] = core::array::from_fn(|i| (i % 5) as f32);
/// let (mut keys, mut indices) = (x.map(key), core::array::from_fn::<i32, 32, _>(|i| i as i32));
/// sort(&mut keys, &mut indices, Order::Descending);
/// assert_eq!(indices[..8], [4, 9, 14, 19, 24, 29, 3, 8]);
/// ```
///
/// # Panics
/// When the number of keys is not a power of two from 32 on, or not that of indices.
#[track_caller]
#[inline(always)]
pub fn sort(keys: &mut [i32], indices: &mut [i32], order: Order) {
    expect_lengths(keys, indices);
    let flip = flip_of(order);
    for (number, (keys, indices)) in blocks(keys).zip(blocks(indices)).enumerate() {
        shuffle(keys, indices, 1, flip, number % 2 != 0);
    }
    let mut size = 2 * BLOCK;
    while size <= keys.len() {
        steps(keys, indices, size, flip);
        size *= 2;
    }
}

/// Keeps the first of two sorted sequences of keys, as many as there are in the first, in order.
/// Where `others` is shorter, it is as if the keys that come last followed it.
///
/// Of `k` best elements so far and some more sorted ones it makes the `k` best of all.
///
/// # Panics
/// When a number of keys is not a power of two from 32 on or not that of indices, or there are more others than keys.
#[track_caller]
#[inline(always)]
pub fn merge(best: (&mut [i32], &mut [i32]), others: (&[i32], &[i32]), order: Order) {
    let ((keys, indices), (other_keys, other_indices)) = (best, others);
    expect_lengths(keys, indices);
    expect_lengths(other_keys, other_indices);
    assert!(other_keys.len() <= keys.len(), "more elements to merge in than there are");
    let flip = flip_of(order);
    let start = keys.len() - other_keys.len();
    let own = keys[start..].iter_mut().zip(&mut indices[start..]);
    for ((key, index), (other_key, other_index)) in own.zip(other_keys.iter().zip(other_indices).rev()) {
        let swaps = mask(!precedes(*key, *index, *other_key, *other_index, flip));
        *key ^= (*key ^ *other_key) & swaps;
        *index ^= (*index ^ *other_index) & swaps;
    }
    let size = keys.len();
    steps(keys, indices, size, flip);
}

#[track_caller]
#[inline(always)]
fn expect_lengths(keys: &[i32], indices: &[i32]) {
    assert!(keys.len() == indices.len(), "as many indices as keys are sorted");
    assert!(keys.len().is_power_of_two() && keys.len() >= BLOCK, "a power of two from 32 on of keys is sorted");
}

/// What makes the order of keys descending by an exclusive or: nothing, or all bits.
#[inline(always)]
fn flip_of(order: Order) -> i32 {
    match order {
        Order::Ascending => -1,
        Order::Descending => 0,
    }
}

#[inline(always)]
fn precedes(key: i32, index: i32, other_key: i32, other_index: i32, flip: i32) -> bool {
    let (key, other_key) = (key ^ flip, other_key ^ flip);
    (key > other_key) | ((key == other_key) & (index < other_index))
}

/// The steps that sort every `size` elements, which are bitonic, every other of these the other way around.
#[inline(always)]
fn steps(keys: &mut [i32], indices: &mut [i32], size: usize, flip: i32) {
    let mut distance = size / 2;
    while distance >= LANES {
        for start in (0..keys.len()).step_by(2 * distance) {
            let (a, b) = keys[start..][..2 * distance].split_at_mut(distance);
            let (of_a, of_b) = indices[start..][..2 * distance].split_at_mut(distance);
            exchange((a, of_a), (b, of_b), flip, start & size != 0);
        }
        distance /= 2;
    }
    for (number, (keys, indices)) in blocks(keys).zip(blocks(indices)).enumerate() {
        shuffle(keys, indices, SHUFFLES, flip, (number * BLOCK) & size != 0);
    }
}

/// [`compare_exchange`], `is_reversed` of it, of slices of one length.
#[inline(always)]
#[expect(clippy::needless_pass_by_value, reason = "keys and numbers of a vector, a pair")]
fn exchange(a: (&mut [i32], &mut [i32]), b: (&mut [i32], &mut [i32]), flip: i32, is_reversed: bool) {
    // In vectors as long as there are any: of whole slices a host's compiler does not know that they are long enough.
    let (keys_a, rest_keys_a) = a.0.as_chunks_mut::<LANES>();
    let (of_a, rest_of_a) = a.1.as_chunks_mut::<LANES>();
    let (keys_b, rest_keys_b) = b.0.as_chunks_mut::<LANES>();
    let (of_b, rest_of_b) = b.1.as_chunks_mut::<LANES>();
    for ((keys_a, of_a), (keys_b, of_b)) in keys_a.iter_mut().zip(of_a).zip(keys_b.iter_mut().zip(of_b)) {
        let mut vectors = (*keys_a, *of_a, *keys_b, *of_b);
        for i in 0..LANES {
            (vectors.0[i], vectors.1[i], vectors.2[i], vectors.3[i]) =
                exchanged((keys_a[i], of_a[i]), (keys_b[i], of_b[i]), flip, is_reversed);
        }
        (*keys_a, *of_a, *keys_b, *of_b) = vectors;
    }
    let rest_a = rest_keys_a.iter_mut().zip(rest_of_a);
    let rest_b = rest_keys_b.iter_mut().zip(rest_of_b);
    for ((key_a, of_a), (key_b, of_b)) in rest_a.zip(rest_b) {
        (*key_a, *of_a, *key_b, *of_b) = exchanged((*key_a, *of_a), (*key_b, *of_b), flip, is_reversed);
    }
}

/// Two keys with their indices, the one that comes first first.
#[inline(always)]
fn exchanged((a, of_a): (i32, i32), (b, of_b): (i32, i32), flip: i32, is_reversed: bool) -> (i32, i32, i32, i32) {
    // As a mask: the compiler would make a branch of a condition that decides all of a pair.
    let swaps = mask(precedes(a, of_a, b, of_b, flip) == is_reversed);
    let (change, change_of_index) = ((a ^ b) & swaps, (of_a ^ of_b) & swaps);
    (a ^ change, of_a ^ change_of_index, b ^ change, of_b ^ change_of_index)
}

/// All bits, or none.
#[inline(always)]
fn mask(is: bool) -> i32 {
    -i32::from(is)
}

#[inline(always)]
fn blocks(x: &mut [i32]) -> impl Iterator<Item = &mut [i32; BLOCK]> {
    x.as_chunks_mut().0.iter_mut()
}

/// The steps of a block for the sizes from 2 to the power of `phase` to that of the block: from 1 on they sort it, the
/// last alone makes a bitonic one sorted. `is_reversed` turns the result around.
// Apart on Xtensa for the reason that `extreme` is.
#[cfg_attr(target_arch = "xtensa", inline(never))]
#[cfg_attr(not(target_arch = "xtensa"), inline(always))]
fn shuffle(keys: &mut [i32; BLOCK], indices: &mut [i32; BLOCK], phase: usize, flip: i32, is_reversed: bool) {
    for phase in phase..=SHUFFLES {
        for step in 0..SHUFFLES {
            // Pairs are at a distance of 2 to the power of this; at greater ones than the phase's they are only moved.
            let distance = SHUFFLES - 1 - step;
            // The compiler would make a second loop for those that are only moved.
            let compares = black_box(mask(distance < phase));
            // The bit of an element's place in its block, or of the block's, that says which way around its part is
            // sorted; after so many shuffles.
            let bit = if phase < SHUFFLES { 1 << ((phase + step) % SHUFFLES) } else { BLOCK };
            let block = if is_reversed { BLOCK } else { 0 };
            let (mut shuffled_keys, mut shuffled_indices) = ([0; BLOCK], [0; BLOCK]);
            for i in 0..LANES {
                let (a, of_a, b, of_b) = (keys[i], indices[i], keys[i + LANES], indices[i + LANES]);
                let swaps = mask(precedes(a, of_a, b, of_b, flip) == ((block | i) & bit != 0)) & compares;
                let (change, change_of_index) = ((a ^ b) & swaps, (of_a ^ of_b) & swaps);
                shuffled_keys[2 * i] = a ^ change;
                shuffled_keys[2 * i + 1] = b ^ change;
                shuffled_indices[2 * i] = of_a ^ change_of_index;
                shuffled_indices[2 * i + 1] = of_b ^ change_of_index;
            }
            (*keys, *indices) = (shuffled_keys, shuffled_indices);
        }
    }
}
