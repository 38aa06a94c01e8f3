//! int64 operands as the i32 that the cores compute in.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use gpsimd_emulator::{DType, for_each};
use pyo3::prelude::*;

use crate::convert;
use crate::engines;
use crate::library::output;

/// Elements that a thread converts at a time.
const PART: usize = 64 * 1024;

/// What Python gets: the tensor of i32, the number of the first element that does not fit, and the greatest that was converted,
/// each if there is one.
type Narrow<'py> = (Bound<'py, PyAny>, Option<usize>, Option<i32>);

/// A tensor of i32 with the elements of a contiguous CPU tensor of int64 at `address`, which the caller holds. `allocate` as in
/// `OpLibrary.launch`.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "extracted from Python objects")]
pub(crate) fn narrow_int64<'py>(
    py: Python<'py>,
    address: usize,
    shape: Vec<usize>,
    allocate: &Bound<'py, PyAny>,
) -> PyResult<Narrow<'py>> {
    let ty = convert::tensor_type(DType::I32.name(), &shape)?;
    let (tensor, memory) = output(allocate, ty)?;
    if ty.len() == 0 {
        return Ok((tensor, None, None));
    }
    // SAFETY: the tensor is new and holds so many i32, aligned, as PyTorch's tensors are.
    let narrow: &mut [i32] = unsafe { std::slice::from_raw_parts_mut(memory.as_ptr().cast(), ty.len()) };
    // SAFETY: the caller passes a contiguous tensor of this shape.
    let wide: &[i64] = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(address), ty.len()) };
    let workers = engines::workers()?;
    let (first, greatest) = py.detach(|| {
        let (first, greatest) = (AtomicUsize::new(usize::MAX), AtomicI32::new(i32::MIN));
        let parts = wide.chunks(PART).zip(narrow.chunks_mut(PART)).enumerate();
        for_each(Some(&*workers), parts, |(part, (wide, narrow))| {
            let converted = convert_part(wide, narrow);
            greatest.fetch_max(converted.greatest, Ordering::Relaxed);
            if converted.lost
                && let Some(at) = wide.iter().position(|wide| i32::try_from(*wide).is_err())
            {
                first.fetch_min(part * PART + at, Ordering::Relaxed);
            }
        });
        (first.into_inner(), greatest.into_inner())
    });
    Ok((tensor, (first != usize::MAX).then_some(first), Some(greatest)))
}

struct Converted {
    /// Whether an element did not fit.
    lost: bool,
    greatest: i32,
}

fn convert_part(wide: &[i64], narrow: &mut [i32]) -> Converted {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: this CPU has AVX2.
        return unsafe { convert_in_avx2(wide, narrow) };
    }
    convert(wide, narrow)
}

/// [`convert`], compiled for a CPU with vectors of 256 bits: a wheel's code is for any x86-64.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn convert_in_avx2(wide: &[i64], narrow: &mut [i32]) -> Converted {
    convert(wide, narrow)
}

/// Converts elements.
#[inline(always)]
fn convert(wide: &[i64], narrow: &mut [i32]) -> Converted {
    let (mut lost, mut greatest) = (0, i32::MIN);
    for (narrow, wide) in narrow.iter_mut().zip(wide) {
        *narrow = *wide as i32;
        greatest = greatest.max(*narrow);
        // From 0 to 2^32 - 1 if it fits, so that the upper half is 0.
        lost |= wide.wrapping_add(1 << 31) as u64 >> 32;
    }
    Converted { lost: lost != 0, greatest }
}
