//! [`scan`]: prefixes of a slice, in place.
//!
//! A block is as many elements as a vector has lanes ([`Lane::COUNT`]). Within it element `i` takes in the one `s` before
//! it, where there is one, for `s` = 1, 2, 4, ... in turn; all elements of a block at once. Then each takes in what is
//! before the block. So the order of operations is the same wherever a row is cut, if it is cut between blocks.

use super::Lane;
use crate::element::Integer;

/// Blocks that are handled at a time. What a step stores, the next loads from shifted places, for which a CPU would have to
/// wait if that came soon; and the steps should find all of them in its nearest cache.
const STRIP: usize = 64;

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
    match T::COUNT {
        16 => scan_blocks::<T, 16>(x, carry, f),
        32 => scan_blocks::<T, 32>(x, carry, f),
        _ => scan_blocks::<T, 64>(x, carry, f),
    }
}

#[inline(always)]
fn scan_blocks<T: Lane, const N: usize>(x: &mut [T], mut carry: T, f: impl Fn(T, T) -> T) -> T {
    let (blocks, rest) = x.as_chunks_mut::<N>();
    // The first block has none before it, and the last may have none of its own size: these are copied.
    if let Some(first) = blocks.first_mut() {
        carry = scan_block(first, carry, &f);
    }
    for start in (1..blocks.len()).step_by(STRIP) {
        let end = blocks.len().min(start + STRIP);
        carry = scan_strip(&mut blocks[start - 1..end], carry, &f);
    }
    if !rest.is_empty() {
        let mut block = [carry; N];
        block[..rest.len()].copy_from_slice(rest);
        scan_block(&mut block, carry, &f);
        rest.copy_from_slice(&block[..rest.len()]);
        carry = rest[rest.len() - 1];
    }
    carry
}

#[inline(always)]
fn scan_block<T: Lane, const N: usize>(block: &mut [T; N], carry: T, f: &impl Fn(T, T) -> T) -> T {
    let mut strip = [[carry; N], *block];
    let carry = scan_strip(&mut strip, carry, f);
    *block = strip[1];
    carry
}

/// Scans the blocks behind the first, which is loaded from, and does not matter.
#[inline(always)]
fn scan_strip<T: Lane, const N: usize>(strip: &mut [[T; N]], mut carry: T, f: &impl Fn(T, T) -> T) -> T {
    let mut step = 1;
    while step < N {
        let x = strip.as_flattened_mut();
        // From the end: what is before a block is as it was.
        for start in (N..x.len()).step_by(N).rev() {
            let (earlier, own) = (&x[start - step..][..N], &x[start..][..N]);
            let mut block = [carry; N];
            for (i, block) in block.iter_mut().enumerate() {
                let with_earlier = f(earlier[i], own[i]);
                *block = if i < step { own[i] } else { with_earlier };
            }
            x[start..][..N].copy_from_slice(&block);
        }
        step *= 2;
    }
    for block in &mut strip[1..] {
        let last = f(carry, block[N - 1]);
        for x in &mut *block {
            *x = f(carry, *x);
        }
        carry = last;
    }
    carry
}
