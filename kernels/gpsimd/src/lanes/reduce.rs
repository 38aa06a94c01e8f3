//! [`Lanes`]: reductions over a row, in the lanes of a core's vector unit.

use core::ops::Range;

use super::Lane;
use crate::LANES;
use crate::element::{Integer, Wide};

/// Vectors that [`Lanes::fold`] and its like take of each operand at a time where there are as many. In a kernel image the
/// lanes live in TCM; this way they are loaded and stored once for four vectors. It also keeps a maximum from becoming a
/// masked store of the lanes that change, which costs an x86 CPU more than all the rest of the row.
const STRIP: usize = 4;

/// As many partial results of a reduction as a vector has lanes: 16 of f32 and i32, 32 of i16, 64 of i8 and u8.
///
/// The order of additions is part of a kernel's meaning: of `n` lanes, lane `i` takes the elements `i`, `i + n`,
/// `i + 2 n`, ..., and the lanes are added pairwise at the end. So a sum of floats has the same bits on every tier, and
/// however a row is cut into tiles, as long as every tile but the last is a multiple of 16 elements
/// ([`Tcm::tile_len`](crate::Tcm::tile_len) is). Sums of integers that wrap, minima and maxima are the same in any order.
///
/// ```
/// use gpsimd::Lanes;
///
/// let mut squares = Lanes::splat(0.0);
/// squares.fold(&[1.0, 2.0, 3.0], |sum, x: f32| sum + x * x);
/// assert_eq!(squares.sum(), 14.0);
/// ```
///
/// Aligned to the vectors of a host, so that none lies across two cache lines on its stack. The frames of a kernel
/// image are in TCM, whose stack is small.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(any(target_arch = "wasm32", target_arch = "xtensa")), repr(align(64)))]
pub struct Lanes<T: Lane = f32>(T::Vector);

impl<T: Lane> Lanes<T> {
    /// All lanes start from `value`: 0 for a sum, the least number for a maximum.
    #[inline(always)]
    pub fn splat(value: T) -> Self {
        Self(T::splat(value))
    }

    /// Takes the elements of `a`: `lane = f(lane, a)`.
    #[inline(always)]
    pub fn fold<A: Copy>(&mut self, a: &[A], f: impl Fn(T, A) -> T) {
        let vectors = self.fold_vectors(a.len(), |part| &a[part], |lane, a, i| f(lane, a[i]));
        for (lane, a) in self.0.as_mut()[..a.len() % T::COUNT].iter_mut().zip(&a[vectors..]) {
            *lane = f(*lane, *a);
        }
    }

    /// Takes the elements of `a` and `b` in pairs: `lane = f(lane, a, b)`. The longer slice's rest is left.
    #[inline(always)]
    pub fn fold2<A: Copy, B: Copy>(&mut self, a: &[A], b: &[B], f: impl Fn(T, A, B) -> T) {
        let len = a.len().min(b.len());
        let (a, b) = (&a[..len], &b[..len]);
        let parts = |part: Range<usize>| (&a[part.clone()], &b[part]);
        let vectors = self.fold_vectors(len, parts, |lane, (a, b), i| f(lane, a[i], b[i]));
        let lanes = self.0.as_mut()[..len % T::COUNT].iter_mut();
        for ((lane, a), b) in lanes.zip(&a[vectors..]).zip(&b[vectors..]) {
            *lane = f(*lane, *a, *b);
        }
    }

    /// Takes the elements of `a`, `b` and `c` in threes: `lane = f(lane, a, b, c)`. What is longer than the shortest is left.
    #[inline(always)]
    pub fn fold3<A: Copy, B: Copy, C: Copy>(&mut self, a: &[A], b: &[B], c: &[C], f: impl Fn(T, A, B, C) -> T) {
        let len = a.len().min(b.len()).min(c.len());
        let (a, b, c) = (&a[..len], &b[..len], &c[..len]);
        let parts = |part: Range<usize>| (&a[part.clone()], &b[part.clone()], &c[part]);
        let vectors = self.fold_vectors(len, parts, |lane, (a, b, c), i| f(lane, a[i], b[i], c[i]));
        let lanes = self.0.as_mut()[..len % T::COUNT].iter_mut();
        for (((lane, a), b), c) in lanes.zip(&a[vectors..]).zip(&b[vectors..]).zip(&c[vectors..]) {
            *lane = f(*lane, *a, *b, *c);
        }
    }

    /// Takes `len` things by their number: `lane = f(lane, i)`, in the order of [`fold`](Self::fold).
    #[inline(always)]
    pub(crate) fn fold_with(&mut self, len: usize, f: impl Fn(T, usize) -> T) {
        let vectors = self.fold_vectors(len, |part| part.start, |lane, start, i| f(lane, start + i));
        for (i, lane) in self.0.as_mut().iter_mut().take(len % T::COUNT).enumerate() {
            *lane = f(*lane, vectors + i);
        }
    }

    /// Takes whole vectors of `len` things, part by part: `lane = f(lane, part, i)`, where `i` is below the length of the
    /// part, a constant, so that no index is checked in a loop. Returns where the remainder starts.
    #[inline(always)]
    fn fold_vectors<P: Copy>(
        &mut self,
        len: usize,
        part: impl Fn(Range<usize>) -> P,
        f: impl Fn(T, P, usize) -> T,
    ) -> usize {
        let lanes = self.0.as_mut();
        let count = T::COUNT;
        let strips = len / (STRIP * count) * (STRIP * count);
        let vectors = len / count * count;
        for start in (0..strips).step_by(STRIP * count) {
            let part = part(start..start + STRIP * count);
            for (i, lane) in lanes.iter_mut().enumerate() {
                *lane = f(f(f(f(*lane, part, i), part, i + count), part, i + 2 * count), part, i + 3 * count);
            }
        }
        for start in (strips..vectors).step_by(count) {
            let part = part(start..start + count);
            for (i, lane) in lanes.iter_mut().enumerate() {
                *lane = f(*lane, part, i);
            }
        }
        vectors
    }

    /// [`fold_with`](Self::fold_with) on a copy: no pointer that `f` reads through can lead to it, so that the lanes
    /// stay in registers even where those that the copy is taken from are in memory.
    #[inline(always)]
    pub(crate) fn folded(mut self, len: usize, f: impl Fn(T, usize) -> T) -> Self {
        self.fold_with(len, f);
        self
    }

    /// [`folded`](Self::folded) of the things of four rows, each in lanes of its own: `lane = f(row, lane, i)`.
    #[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
    #[inline(always)]
    pub(crate) fn folded_rows(self, len: usize, f: impl Fn(usize, T, usize) -> T) -> [Self; 4] {
        let [mut a, mut b, mut c, mut d] = [self; 4];
        let vectors = len / T::COUNT * T::COUNT;
        {
            let (a, b, c, d) = (a.0.as_mut(), b.0.as_mut(), c.0.as_mut(), d.0.as_mut());
            for start in (0..vectors).step_by(T::COUNT) {
                for i in 0..T::COUNT {
                    a[i] = f(0, a[i], start + i);
                    b[i] = f(1, b[i], start + i);
                    c[i] = f(2, c[i], start + i);
                    d[i] = f(3, d[i], start + i);
                }
            }
            for i in 0..len % T::COUNT {
                a[i] = f(0, a[i], vectors + i);
                b[i] = f(1, b[i], vectors + i);
                c[i] = f(2, c[i], vectors + i);
                d[i] = f(3, d[i], vectors + i);
            }
        }
        [a, b, c, d]
    }

    /// The lanes in one: 16 to 8 to 4 to 2 to 1, lane `i` with lane `i + half`.
    #[inline(always)]
    pub fn reduce(&self, f: impl Fn(T, T) -> T) -> T {
        let lanes = self.0.as_ref();
        if T::COUNT == LANES {
            return reduce_16(|i| lanes[i], f);
        }
        let mut of_16 = [lanes[0]; LANES];
        of_16.copy_from_slice(&lanes[..LANES]);
        for others in lanes[LANES..].chunks_exact(LANES) {
            for (lane, other) in of_16.iter_mut().zip(others) {
                *lane = f(*lane, *other);
            }
        }
        reduce_16(|i| of_16[i], f)
    }
}

/// As one expression: an array halved in place would be stored and loaded again at every step.
#[inline(always)]
fn reduce_16<T>(lane: impl Fn(usize) -> T, f: impl Fn(T, T) -> T) -> T {
    let of_8 = |i| f(lane(i), lane(i + 8));
    let of_4 = |i| f(of_8(i), of_8(i + 4));
    let of_2 = |i| f(of_4(i), of_4(i + 2));
    f(of_2(0), of_2(1))
}

impl<W: Wide> Lanes<W> {
    /// [`fold`](Self::fold) of the elements from the last to the first, in lanes the other way around: what they become
    /// together, [`reduce_back`](Self::reduce_back) returns.
    #[inline(always)]
    pub fn fold_back<A: Copy>(&mut self, a: &[A], f: impl Fn(W, A) -> W) {
        let lanes = self.0.as_mut();
        let (rest, blocks) = a.as_rchunks::<LANES>();
        for block in blocks.iter().rev() {
            for (lane, a) in lanes.iter_mut().zip(block) {
                *lane = f(*lane, *a);
            }
        }
        for (lane, a) in lanes[LANES - rest.len()..].iter_mut().zip(rest) {
            *lane = f(*lane, *a);
        }
    }

    /// [`reduce`](Self::reduce) of lanes that [`fold_back`](Self::fold_back) filled.
    #[inline(always)]
    pub fn reduce_back(&self, f: impl Fn(W, W) -> W) -> W {
        let lanes = self.0.as_ref();
        reduce_16(|i| lanes[LANES - 1 - i], f)
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
