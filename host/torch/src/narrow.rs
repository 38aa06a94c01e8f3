//! int64 operands as the i32 that the cores compute in.

use std::sync::atomic::{AtomicUsize, Ordering};

use gpsimd_emulator::{DType, for_each};
use pyo3::prelude::*;

use crate::convert;
use crate::engines;
use crate::library::output;

/// Elements that a thread converts at a time.
const PART: usize = 64 * 1024;

/// A tensor of i32 with the elements of a contiguous CPU tensor of int64 at `address`, which the caller holds, and the number of
/// the first element that does not fit, if there is one. `allocate` as in `OpLibrary.launch`.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "extracted from Python objects")]
pub(crate) fn narrow_int64<'py>(
    py: Python<'py>,
    address: usize,
    shape: Vec<usize>,
    allocate: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Option<usize>)> {
    let ty = convert::tensor_type(DType::I32.name(), &shape)?;
    let (tensor, memory) = output(allocate, ty)?;
    if ty.len() == 0 {
        return Ok((tensor, None));
    }
    // SAFETY: the tensor is new and holds so many i32, aligned, as PyTorch's tensors are.
    let narrow: &mut [i32] = unsafe { std::slice::from_raw_parts_mut(memory.as_ptr().cast(), ty.len()) };
    // SAFETY: the caller passes a contiguous tensor of this shape.
    let wide: &[i64] = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(address), ty.len()) };
    let workers = engines::workers()?;
    let first = py.detach(|| {
        let first = AtomicUsize::new(usize::MAX);
        let parts = wide.chunks(PART).zip(narrow.chunks_mut(PART)).enumerate();
        for_each(Some(&*workers), parts, |(part, (wide, narrow))| {
            if let Some(at) = convert_part(wide, narrow) {
                first.fetch_min(part * PART + at, Ordering::Relaxed);
            }
        });
        first.into_inner()
    });
    Ok((tensor, (first != usize::MAX).then_some(first)))
}

/// Converts elements, and returns the number of the first that does not fit.
fn convert_part(wide: &[i64], narrow: &mut [i32]) -> Option<usize> {
    let mut lost = 0;
    for (narrow, wide) in narrow.iter_mut().zip(wide) {
        *narrow = *wide as i32;
        lost |= *wide ^ i64::from(*narrow);
    }
    if lost == 0 {
        return None;
    }
    wide.iter().position(|wide| i32::try_from(*wide).is_err())
}
