//! [`argmax`] and [`argmin`]: the extreme element of a slice and where it is.

use super::Lane;
use super::reduce::Lanes;
use super::select::position;
use crate::element::Number;

/// The greatest or the least of some elements, and the index of the first that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extreme<T> {
    /// The element.
    pub value: T,
    /// Its index.
    pub index: i32,
}

impl<T: Number> Extreme<T> {
    /// The greater of this one and one that comes later.
    #[must_use]
    #[inline(always)]
    pub fn max(self, later: Self) -> Self {
        if is_beyond(later.value, self.value, T::gt) { later } else { self }
    }

    /// The less of this one and one that comes later.
    #[must_use]
    #[inline(always)]
    pub fn min(self, later: Self) -> Self {
        if is_beyond(later.value, self.value, T::lt) { later } else { self }
    }
}

/// The greatest element of `x`, and the index of the first that is, counted from `first`; none if `x` is empty. As of
/// PyTorch's `max`, the first NaN if there is one, and both zeros are equal.
///
/// ```
/// use gpsimd::lanes::argmax;
///
/// // A row in two tiles.
/// let (one, other) = (argmax(&[1.0, 3.0], 0).unwrap(), argmax(&[3.0, 2.0], 2).unwrap());
/// let greatest = one.max(other);
/// assert_eq!((greatest.value, greatest.index), (3.0, 1));
/// ```
#[inline(always)]
pub fn argmax<T: Number + Lane>(x: &[T], first: i32) -> Option<Extreme<T>> {
    extreme(x, first, T::gt)
}

/// The least element of `x`, and the index of the first that is, counted from `first`; none if `x` is empty. As of
/// PyTorch's `min`, the first NaN if there is one, and both zeros are equal.
///
/// ```
/// use gpsimd::lanes::argmin;
///
/// let least = argmin(&[5, -1, -1], 0).unwrap();
/// assert_eq!((least.value, least.index), (-1, 1));
/// ```
#[inline(always)]
pub fn argmin<T: Number + Lane>(x: &[T], first: i32) -> Option<Extreme<T>> {
    extreme(x, first, T::lt)
}

// LLVM for Xtensa keeps no register for addresses in a frame of more than 1 KiB, which a function with two of these has, and
// stops where it then needs one.
#[cfg_attr(target_arch = "xtensa", inline(never))]
#[cfg_attr(not(target_arch = "xtensa"), inline(always))]
fn extreme<T: Number + Lane>(x: &[T], first: i32, precedes: impl Fn(&T, &T) -> bool) -> Option<Extreme<T>> {
    let mut lanes = Lanes::splat(*x.first()?);
    let pick = |best: T, x: T| if precedes(&x, &best) | is_nan(x) { x } else { best };
    lanes.fold(x, pick);
    let value = lanes.reduce(pick);
    // If there is a NaN, it is the extreme.
    let index = position(x, |x| (x == value) | is_nan(x))?;
    Some(Extreme { value, index: first.wrapping_add(index as i32) })
}

/// Whether `later` takes the place of `earlier`.
#[inline(always)]
fn is_beyond<T: Number>(later: T, earlier: T, precedes: impl Fn(&T, &T) -> bool) -> bool {
    (precedes(&later, &earlier) | is_nan(later)) & !is_nan(earlier)
}

#[inline(always)]
#[expect(clippy::eq_op, reason = "only a NaN is not equal to itself")]
fn is_nan<T: Number>(x: T) -> bool {
    x != x
}
