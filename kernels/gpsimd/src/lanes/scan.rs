//! [`scan`]: prefixes of a slice, in place.
//!
//! A block is as many elements as a vector has lanes ([`Lane::COUNT`]). Within it element `i` takes in the one `s` before
//! it, where there is one, for `s` = 1, 2, 4, ... in turn; all elements of a block at once. Then each takes in what is
//! before the block. So the order of operations is the same wherever a row is cut, if it is cut between blocks.

use super::Lane;
use crate::LANES;
use crate::element::{Integer, Wide};

/// Blocks that are handled at a time where steps go through memory. What a step stores, the next loads from shifted
/// places, for which a CPU would have to wait if that came soon; and the steps should find all of them in its nearest cache.
const STRIP: usize = 64;

/// Whether the steps of a block of `N` stay in registers: on a host, whose compiler shuffles 16 lanes, but takes more apart
/// into scalars. In a kernel image a step is a loop, over memory.
pub(crate) const fn is_in_registers<const N: usize>() -> bool {
    N == LANES && !cfg!(any(target_arch = "wasm32", target_arch = "xtensa"))
}

/// Every element becomes the sum of `carry` and the elements up to it; returns the last, or `carry` if there is none.
///
/// `carry` is what precedes: 0.0, or what this function returned of the part of the row before, which ends at a multiple
/// of 16 elements. Of such parts the sums have the bits that those of the whole row have.
///
/// In an order of additions that is documented, because floats are rounded: of every 16 elements, number `i` adds the one
/// `s` before it to itself, for `s` = 1, 2, 4 and 8, if there is one; the result is added to that before the 16.
///
/// ```
/// use gpsimd::lanes::cumsum;
///
/// let mut x = [1.0, 2.0, 3.0];
/// let carry = cumsum(&mut x, 0.5);
/// assert_eq!(x, [1.5, 3.5, 6.5]);
/// assert_eq!(carry, 6.5);
/// ```
#[inline(always)]
pub fn cumsum(x: &mut [f32], carry: f32) -> f32 {
    scan(x, carry, |sum, x| sum + x)
}

/// [`cumsum`] of integers, modulo 2^bits: however the row is cut.
#[inline(always)]
pub fn wrapping_cumsum<T: Integer>(x: &mut [T], carry: T) -> T {
    scan(x, carry, T::wrapping_add)
}

/// Every element becomes `f` of `carry` and the elements up to it, `f` being associative: `f(a, f(b, c))` is
/// `f(f(a, b), c)`. Returns the last, or `carry` if there is none. In the order that [`cumsum`] says, with 32 elements of
/// 16 bits and 64 of 8 in place of its 16.
///
/// ```
/// use gpsimd::lanes::scan;
///
/// let mut x = [3, 1, 4, 1, 5];
/// scan(&mut x, i32::MIN, |greatest, x| greatest.max(x));
/// assert_eq!(x, [3, 3, 4, 4, 5]);
/// ```
#[inline(always)]
pub fn scan<T: Lane>(x: &mut [T], carry: T, f: impl Fn(T, T) -> T) -> T {
    scan_by_lanes::<T, false>(x, carry, f)
}

/// [`scan`] from the last element to the first: the bits are those of the elements the other way around. What `carry` is
/// what follows, and of a row in parts every part but the one that is first in the row has whole blocks.
///
/// ```
/// use gpsimd::lanes::scan_back;
///
/// let mut x = [3, 1, 4, 1, 5];
/// let sum = scan_back(&mut x, 100, |sum, x| sum + x);
/// assert_eq!((x, sum), ([114, 111, 110, 106, 105], 114));
/// ```
#[inline(always)]
pub fn scan_back<T: Lane>(x: &mut [T], carry: T, f: impl Fn(T, T) -> T) -> T {
    scan_by_lanes::<T, true>(x, carry, f)
}

/// [`scan`], or if `BACK` [`scan_back`], from one slice to another of its length, in one pass: `y` becomes `narrow` of the
/// prefixes of `widen` of the elements of `x`. For where [steps stay in registers](is_in_registers).
#[inline(always)]
pub(crate) fn scan_to<X: Copy, W: Wide, Y, const BACK: bool>(
    x: &[X],
    y: &mut [Y],
    mut carry: W,
    (widen, f, narrow): (impl Fn(X) -> W, impl Fn(W, W) -> W, impl Fn(W) -> Y),
) -> W {
    let (blocks_of_x, x) = split::<X, LANES, BACK>(x);
    let (blocks_of_y, y) = split_mut::<Y, LANES, BACK>(y);
    for_each::<_, BACK>(blocks_of_x.iter().zip(blocks_of_y), |(x, y)| {
        let mut block = x.map(&widen);
        carry = scan_block::<W, LANES, BACK>(&mut block, carry, &f);
        *y = block.map(&narrow);
    });
    let mut rest = [carry; LANES];
    let rest = &mut rest[..x.len()];
    for (rest, x) in rest.iter_mut().zip(x) {
        *rest = widen(*x);
    }
    carry = scan_rest::<W, LANES, BACK>(rest, carry, &f);
    for (y, rest) in y.iter_mut().zip(rest) {
        *y = narrow(*rest);
    }
    carry
}

#[inline(always)]
fn scan_by_lanes<T: Lane, const BACK: bool>(x: &mut [T], carry: T, f: impl Fn(T, T) -> T) -> T {
    match T::COUNT {
        16 => scan_blocks::<T, 16, BACK>(x, carry, f),
        32 => scan_blocks::<T, 32, BACK>(x, carry, f),
        _ => scan_blocks::<T, 64, BACK>(x, carry, f),
    }
}

#[inline(always)]
fn scan_blocks<T: Lane, const N: usize, const BACK: bool>(x: &mut [T], mut carry: T, f: impl Fn(T, T) -> T) -> T {
    let (blocks, rest) = split_mut::<T, N, BACK>(x);
    if is_in_registers::<N>() {
        for_each::<_, BACK>(blocks.iter_mut(), |block| carry = scan_block::<T, N, BACK>(block, carry, &f));
    } else {
        // The first block has none before it: it is copied.
        if let Some(first) = if BACK { blocks.last_mut() } else { blocks.first_mut() } {
            carry = scan_block::<T, N, BACK>(first, carry, &f);
        }
        let count = blocks.len();
        for start in (1..count).step_by(STRIP) {
            let end = count.min(start + STRIP);
            let strip = if BACK { count - end..count - start + 1 } else { start - 1..end };
            carry = scan_strip::<T, N, BACK>(&mut blocks[strip], carry, &f);
        }
    }
    scan_rest::<T, N, BACK>(rest, carry, &f)
}

/// The blocks of a slice, and what is no whole block: the elements that come last.
#[inline(always)]
fn split<T, const N: usize, const BACK: bool>(x: &[T]) -> (&[[T; N]], &[T]) {
    if BACK {
        let (rest, blocks) = x.as_rchunks();
        (blocks, rest)
    } else {
        x.as_chunks()
    }
}

#[inline(always)]
fn split_mut<T, const N: usize, const BACK: bool>(x: &mut [T]) -> (&mut [[T; N]], &mut [T]) {
    if BACK {
        let (rest, blocks) = x.as_rchunks_mut();
        (blocks, rest)
    } else {
        x.as_chunks_mut()
    }
}

#[inline(always)]
fn for_each<T, const BACK: bool>(blocks: impl DoubleEndedIterator<Item = T>, f: impl FnMut(T)) {
    if BACK {
        blocks.rev().for_each(f);
    } else {
        blocks.for_each(f);
    }
}

/// Scans fewer elements than a block has.
#[inline(always)]
fn scan_rest<T: Lane, const N: usize, const BACK: bool>(x: &mut [T], carry: T, f: &impl Fn(T, T) -> T) -> T {
    let len = x.len();
    if len == 0 {
        return carry;
    }
    let mut block = [carry; N];
    let place = if BACK { N - len..N } else { 0..len };
    block[place.clone()].copy_from_slice(x);
    scan_block::<T, N, BACK>(&mut block, carry, f);
    x.copy_from_slice(&block[place]);
    if BACK { x[0] } else { x[len - 1] }
}

#[inline(always)]
fn scan_block<T: Lane, const N: usize, const BACK: bool>(block: &mut [T; N], carry: T, f: &impl Fn(T, T) -> T) -> T {
    if !is_in_registers::<N>() {
        let (mut strip, own) = if BACK { ([*block, [carry; N]], 0) } else { ([[carry; N], *block], 1) };
        let carry = scan_strip::<T, N, BACK>(&mut strip, carry, f);
        *block = strip[own];
        return carry;
    }
    let mut x = *block;
    let mut step = 1;
    while step < N {
        let earlier = x;
        for i in 0..N - step {
            let (from, to) = if BACK { (i + step, i) } else { (i, i + step) };
            x[to] = f(earlier[from], earlier[to]);
        }
        step *= 2;
    }
    *block = x.map(|x| f(carry, x));
    block[last::<N, BACK>()]
}

/// Scans the blocks behind the first, which is loaded from, and does not matter.
#[inline(always)]
pub(super) fn scan_strip<T: Lane, const N: usize, const BACK: bool>(
    strip: &mut [[T; N]],
    mut carry: T,
    f: &impl Fn(T, T) -> T,
) -> T {
    let count = strip.len() - 1;
    let mut step = 1;
    while step < N {
        let x = strip.as_flattened_mut();
        // The last one first: what is before a block is as it was.
        for number in 0..count {
            let start = if BACK { number } else { count - number } * N;
            let (earlier, own) = (if BACK { &x[start + step..] } else { &x[start - step..] }, &x[start..]);
            let (earlier, own) = (&earlier[..N], &own[..N]);
            let mut block = [carry; N];
            for (i, block) in block.iter_mut().enumerate() {
                let with_earlier = f(earlier[i], own[i]);
                let has_earlier = if BACK { i < N - step } else { i >= step };
                *block = if has_earlier { with_earlier } else { own[i] };
            }
            x[start..][..N].copy_from_slice(&block);
        }
        step *= 2;
    }
    let own = if BACK { &mut strip[..count] } else { &mut strip[1..] };
    for_each::<_, BACK>(own.iter_mut(), |block| {
        let next = f(carry, block[last::<N, BACK>()]);
        for x in &mut *block {
            *x = f(carry, *x);
        }
        carry = next;
    });
    carry
}

/// The element of a block that comes last.
const fn last<const N: usize, const BACK: bool>() -> usize {
    if BACK { 0 } else { N - 1 }
}
