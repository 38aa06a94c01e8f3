//! Reductions over a row, in the 16 lanes of a core's vector unit.
//!
//! The order of additions is part of a kernel's meaning: lane `i` takes the elements `i`, `i + 16`, `i + 32`, ..., and
//! the lanes are added pairwise at the end. So a sum has the same bits on every tier, and however a row is cut into
//! tiles, as long as every tile but the last is a multiple of 16 elements ([`Tcm::tile_len`](crate::Tcm::tile_len) is).

use crate::LANES;
use crate::element::Integer;

/// Elements that [`Lanes::fold`] and [`Lanes::fold2`] take of each operand at a time where there are as many: four
/// vectors. In a kernel image the lanes live in TCM; this way they are loaded and stored once for four vectors. It also
/// keeps a maximum from becoming a masked store of the lanes that change, which costs an x86 CPU more than all the rest
/// of the row.
const STRIP: usize = 4 * LANES;

/// Sixteen partial results of a reduction, in f32 or an integer.
///
/// Aligned to the vectors of a host, so that none lies across two cache lines on its stack. The frames of a kernel
/// image are in TCM, whose stack is small.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(any(target_arch = "wasm32", target_arch = "xtensa")), repr(align(64)))]
pub struct Lanes<T = f32>([T; LANES]);

impl<T: Copy> Lanes<T> {
    /// All lanes start from `value`: 0 for a sum, the least number for a maximum.
    pub const fn splat(value: T) -> Self {
        Self([value; LANES])
    }

    /// Takes the elements of `a`: `lane = f(lane, a)`.
    #[inline(always)]
    pub fn fold<A: Copy>(&mut self, a: &[A], f: impl Fn(T, A) -> T) {
        self.fold2(a, a, |lane, a, _| f(lane, a));
    }

    /// Takes the elements of `a` and `b` in pairs: `lane = f(lane, a, b)`. The longer slice's rest is left.
    #[inline(always)]
    pub fn fold2<A: Copy, B: Copy>(&mut self, a: &[A], b: &[B], f: impl Fn(T, A, B) -> T) {
        let len = a.len().min(b.len());
        let (a, b) = (&a[..len], &b[..len]);
        self.fold_with(len, |lane, i| f(lane, a[i], b[i]));
    }

    /// Takes `len` things by their number: `lane = f(lane, i)`, in the order of [`fold`](Self::fold).
    #[inline(always)]
    pub(crate) fn fold_with(&mut self, len: usize, f: impl Fn(T, usize) -> T) {
        let strips = len / STRIP * STRIP;
        let vectors = len / LANES * LANES;
        for start in (0..strips).step_by(STRIP) {
            for (i, lane) in self.0.iter_mut().enumerate() {
                let i = start + i;
                *lane = f(f(f(f(*lane, i), i + LANES), i + 2 * LANES), i + 3 * LANES);
            }
        }
        for start in (strips..vectors).step_by(LANES) {
            for (i, lane) in self.0.iter_mut().enumerate() {
                *lane = f(*lane, start + i);
            }
        }
        for (i, lane) in self.0.iter_mut().take(len % LANES).enumerate() {
            *lane = f(*lane, vectors + i);
        }
    }

    /// [`fold_with`](Self::fold_with) on a copy: no pointer that `f` reads through can lead to it, so that the lanes
    /// stay in registers even where those that the copy is taken from are in memory.
    #[inline(always)]
    pub(crate) fn folded(mut self, len: usize, f: impl Fn(T, usize) -> T) -> Self {
        self.fold_with(len, f);
        self
    }

    /// As one expression: an array halved in place would be stored and loaded again at every step.
    #[inline(always)]
    fn reduce(&self, f: impl Fn(T, T) -> T) -> T {
        let of_8 = |i| f(self.0[i], self.0[i + 8]);
        let of_4 = |i| f(of_8(i), of_8(i + 4));
        let of_2 = |i| f(of_4(i), of_4(i + 2));
        f(of_2(0), of_2(1))
    }
}

impl Lanes<f32> {
    /// The lanes added: 16 to 8 to 4 to 2 to 1, lane `i` with lane `i + half`.
    #[inline(always)]
    pub fn sum(self) -> f32 {
        self.reduce(|a, b| a + b)
    }

    /// The greatest lane. A NaN lane is passed over, as the maximum of a row passes over its NaNs.
    #[inline(always)]
    pub fn max(self) -> f32 {
        self.reduce(greater)
    }
}

impl<T: Integer> Lanes<T> {
    /// The lanes added, modulo 2^bits.
    #[inline(always)]
    pub fn wrapping_sum(self) -> T {
        self.reduce(Integer::wrapping_add)
    }

    /// The greatest lane.
    #[inline(always)]
    pub fn max(self) -> T {
        self.reduce(Ord::max)
    }

    /// The least lane.
    #[inline(always)]
    pub fn min(self) -> T {
        self.reduce(Ord::min)
    }
}

/// The greater of two numbers: one instruction where `f32::max` takes three. `acc` when `value` is NaN.
#[inline(always)]
pub fn greater(acc: f32, value: f32) -> f32 {
    if value > acc { value } else { acc }
}
