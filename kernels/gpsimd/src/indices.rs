//! Indices of rows and elements: whether there are such, and what is said where there are not, or where elements are out of order.

use core::panic::Location;

use gpsimd_abi as abi;

use crate::error::OpError;
use crate::tensor::Hbm;

/// The row, of `count`, that `index` names.
#[inline(always)]
pub(crate) fn row(index: i32, count: usize) -> Option<usize> {
    let row = index as usize;
    (index >= 0 && row < count).then_some(row)
}

/// Reports that element `element` of `indices` names no row of `table`.
#[cold]
#[inline(never)]
pub(crate) fn refuse(
    index: i32,
    table: &Hbm<'_>,
    (indices, element): (&Hbm<'_>, usize),
    at: &'static Location<'static>,
) -> OpError {
    let message = if index < 0 {
        "index -{}, element {} of `{{}}`, is out of range: `{{}}` has {} rows"
    } else {
        "index {}, element {} of `{{}}`, is out of range: `{{}}` has {} rows"
    };
    let size = index.unsigned_abs() as usize;
    let numbers = [size, indices.start + element, indices.tensor as usize, table.tensor as usize, table.row_count()];
    table.device().fail_with(abi::FAILURE_REFUSED, message, &numbers, at);
    OpError::Reported
}

/// Reports that the index of this number of those in a slice names no row of `table`.
#[cold]
#[inline(never)]
pub(crate) fn refuse_given(index: i32, table: &Hbm<'_>, number: usize, at: &'static Location<'static>) -> OpError {
    let message = if index < 0 {
        "index -{}, number {} of those given, is out of range: `{{}}` has {} rows"
    } else {
        "index {}, number {} of those given, is out of range: `{{}}` has {} rows"
    };
    let numbers = [index.unsigned_abs() as usize, number, table.tensor as usize, table.row_count()];
    table.device().fail_with(abi::FAILURE_REFUSED, message, &numbers, at);
    OpError::Reported
}

/// Reports that element `element` of `sorted` belongs before the one before it.
#[cold]
#[inline(never)]
pub(crate) fn refuse_unsorted(sorted: &Hbm<'_>, element: usize, at: &'static Location<'static>) -> OpError {
    let message = "element {} of `{{}}` is out of order: sorted, it is before element {}";
    let place = sorted.start + element;
    let numbers = [place, sorted.tensor as usize, place.saturating_sub(1)];
    sorted.device().fail_with(abi::FAILURE_REFUSED, message, &numbers, at);
    OpError::Reported
}

/// Reports that element `element` of `indices` is not below `count`.
#[cold]
#[inline(never)]
pub(crate) fn refuse_beyond(
    index: i32,
    count: usize,
    (indices, element): (&Hbm<'_>, usize),
    at: &'static Location<'static>,
) -> OpError {
    let message = if index < 0 {
        "index -{}, element {} of `{{}}`, is out of range: there are {} to choose from"
    } else {
        "index {}, element {} of `{{}}`, is out of range: there are {} to choose from"
    };
    let numbers = [index.unsigned_abs() as usize, indices.start + element, indices.tensor as usize, count];
    indices.device().fail_with(abi::FAILURE_REFUSED, message, &numbers, at);
    OpError::Reported
}
