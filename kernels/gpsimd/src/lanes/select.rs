//! [`any`], [`position`], [`compact`]: which elements satisfy a condition.

use super::Lane;
use super::reduce::Lanes;
use super::scan::scan_strip;

/// Elements that are looked at at a time: a vector of 8-bit elements, four of f32.
const BLOCK: usize = 64;

/// Whether an element satisfies a condition. The condition is evaluated for every element, whatever comes out.
///
/// ```
/// use gpsimd::lanes::any;
///
/// assert!(any(&[1.0, f32::NAN], f32::is_nan));
/// ```
#[inline(always)]
pub fn any<T: Copy>(x: &[T], is: impl Fn(T) -> bool) -> bool {
    // A flag for each lane, of the size of the elements: as many fit in a vector.
    match size_of::<T>() {
        1 => flags(x, is, 0_u8, |flag, is| flag | u8::from(is)),
        2 => flags(x, is, 0_u16, |flag, is| flag | u16::from(is)),
        _ => x.iter().fold(0, |any, x| any | u32::from(is(*x))) != 0,
    }
}

#[inline(always)]
fn flags<T: Copy, F: Lane + Ord>(x: &[T], is: impl Fn(T) -> bool, zero: F, or: impl Fn(F, bool) -> F) -> bool {
    let mut flags = Lanes::splat(zero);
    flags.fold(x, |flag, x| or(flag, is(x)));
    flags.reduce(Ord::max) != zero
}

/// The number of the first element that satisfies a condition.
///
/// ```
/// use gpsimd::lanes::position;
///
/// assert_eq!(position(&[3, 0, 0], |x| x == 0), Some(1));
/// ```
#[inline(always)]
pub fn position<T: Copy>(x: &[T], is: impl Fn(T) -> bool) -> Option<usize> {
    let (number, block) = x.chunks(BLOCK).enumerate().find(|(_, block)| any(block, &is))?;
    // The least of all numbers is a reduction; a loop that ends at the first is not.
    let first = block.iter().enumerate().fold(BLOCK, |first, (i, x)| if is(*x) { first.min(i) } else { first });
    Some(number * BLOCK + first)
}

/// What [`compact`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Elements that were looked at.
    pub taken: usize,
    /// Of these, those that satisfy the condition.
    pub found: usize,
}

/// Writes the numbers of the elements of `x` that satisfy a condition, `first` added to each, to the front of `indices`.
///
/// It goes on while there is room for 64 more numbers, whatever the elements are, or for all that is left of `x`:
/// where `taken` is less than the length of `x`, the caller makes room and calls again for the rest.
///
/// 64 elements are looked at at a time in vectors, and passed over if none satisfies the condition, which is evaluated
/// for all. Those that do are moved to the front in six steps, each of which moves elements by a power of two.
///
/// ```
/// use gpsimd::lanes::compact;
///
/// let mut indices = [0; 4];
/// let compacted = compact(&[0.0, 2.0, 0.0, 1.0], 100, |x| x != 0.0, &mut indices);
/// assert_eq!((compacted.taken, compacted.found), (4, 2));
/// assert_eq!(indices[..2], [101, 103]);
/// ```
#[inline(always)]
pub fn compact<T: Copy>(x: &[T], first: i32, is: impl Fn(T) -> bool, indices: &mut [i32]) -> Compacted {
    let (mut taken, mut found) = (0, 0);
    for block in x.chunks(BLOCK) {
        let room = &mut indices[found..];
        if room.len() < block.len() {
            break;
        }
        if any(block, &is) {
            let start = first.wrapping_add(taken as i32);
            let count = append(block, start, &is, room);
            found += count;
        }
        taken += block.len();
    }
    Compacted { taken, found }
}

/// Writes the numbers of the elements of a block that satisfy the condition, from `start`; how many.
// Apart on Xtensa for the reason that `extreme` is.
#[cfg_attr(target_arch = "xtensa", inline(never))]
#[cfg_attr(not(target_arch = "xtensa"), inline(always))]
fn append<T: Copy>(block: &[T], start: i32, is: impl Fn(T) -> bool, room: &mut [i32]) -> usize {
    let mut flags = [[0_u8; BLOCK]; 2];
    for (flag, x) in flags[0].iter_mut().zip(block) {
        *flag = u8::from(is(*x));
    }
    if cfg!(any(target_arch = "wasm32", target_arch = "xtensa")) {
        let count = move_to_front(&mut flags);
        for (i, (index, by)) in room.iter_mut().zip(&flags[0]).enumerate().take(count) {
            *index = start.wrapping_add(i as i32 + i32::from(*by));
        }
        return count;
    }
    // A host has the flags of 8 elements in a register, and finds the next that is set in one instruction.
    let mut count = 0;
    for (word, flags) in flags[0].as_chunks::<8>().0.iter().enumerate() {
        let mut flags = u64::from_le_bytes(*flags);
        while flags != 0 {
            room[count] = start.wrapping_add((8 * word) as i32 + (flags.trailing_zeros() / 8) as i32);
            count += 1;
            flags &= flags - 1;
        }
    }
    count
}

/// Moves the elements whose flag is 1 to the front, in their order; how many there are. In the place of the flags comes by how
/// much each was moved: what is now number i was number `i + flags[0][i]`. The second block is room.
///
/// That is the number of zeros before it. The elements move by its bits, from the lowest on, all whose bit is 1 at once, so
/// that none meets another (H. S. Warren, Hacker's Delight, section 7-4: compress).
#[inline(never)]
fn move_to_front(flags: &mut [[u8; BLOCK]; 2]) -> usize {
    let [own, zeros] = &mut *flags;
    for (zeros, flag) in zeros.iter_mut().zip(&*own) {
        *zeros = 1 - flag;
    }
    let all = scan_strip::<u8, BLOCK, false>(flags, 0, &u8::wrapping_add);
    let [own, zeros] = &mut *flags;
    for (own, zeros) in own.iter_mut().zip(&*zeros) {
        *own = zeros & own.wrapping_neg();
    }
    // What comes after the block moves nowhere.
    zeros.fill(0);
    let mut step = 1;
    while step < BLOCK {
        let x = flags.as_flattened_mut();
        for i in 0..BLOCK {
            let (own, later) = (x[i], x[i + step]);
            let stays = if own & step as u8 == 0 { own } else { 0 };
            x[i] = if later & step as u8 == 0 { stays } else { later };
        }
        step *= 2;
    }
    BLOCK - usize::from(all)
}

/// Element `indices[i] - first` of `x` becomes element `i` of `y`: the elements that [`compact`] found, or any others.
///
/// # Panics
/// When an index is not that of an element, or `y` is shorter than `indices`.
#[track_caller]
#[inline(always)]
pub fn gather<T: Copy>(x: &[T], first: i32, indices: &[i32], y: &mut [T]) {
    let Some(last) = x.len().checked_sub(1) else {
        return assert!(indices.is_empty(), "an index where there are no elements");
    };
    // In 32 bits: as many again fit in a vector as of usize on a host.
    let last = last.min(u32::MAX as usize) as u32;
    let is_outside = any(indices, |i: i32| i.wrapping_sub(first) as u32 > last);
    assert!(!is_outside, "an index outside of the elements");
    for (y, i) in y[..indices.len()].iter_mut().zip(indices) {
        // SAFETY: no more than `last`, the number of an element. Verified for all before, in vectors: a comparison for each
        // takes longer than all else here.
        *y = unsafe { *x.get_unchecked(i.wrapping_sub(first) as u32 as usize) };
    }
}
