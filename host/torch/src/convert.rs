//! Between Python's tuples and the emulator's tensors.

use gpsimd_emulator::{DType, TensorType, TensorView, TensorViewMut};
use pyo3::prelude::*;

use crate::errors::OperandError;

/// dtype name and shape.
pub(crate) type PyType = (String, Vec<usize>);

/// Address of the first element, dtype name, shape.
pub(crate) type PyTensor = (usize, String, Vec<usize>);

pub(crate) fn tensor_type(dtype: &str, shape: &[usize]) -> PyResult<TensorType> {
    let dtype = DType::ALL.into_iter().find(|known| known.name() == dtype).ok_or_else(|| {
        let known = DType::ALL.map(DType::name).join(", ");
        OperandError::new_err(format!("the dtype is `{dtype}`, expected one of {known}"))
    })?;
    TensorType::new(dtype, shape).map_err(|error| OperandError::new_err(error.to_string()))
}

/// # Safety
/// The address leads to a contiguous tensor of that dtype and shape, which nothing writes while the view is used.
pub(crate) unsafe fn view<'a>((address, dtype, shape): &PyTensor) -> PyResult<TensorView<'a>> {
    let ty = tensor_type(dtype, shape)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { TensorView::from_raw(std::ptr::with_exposed_provenance(*address), ty) })
}

/// # Safety
/// The address leads to a contiguous tensor of that dtype and shape, which nothing else reaches while the view is used.
pub(crate) unsafe fn view_mut<'a>((address, dtype, shape): &PyTensor) -> PyResult<TensorViewMut<'a>> {
    let ty = tensor_type(dtype, shape)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { TensorViewMut::from_raw(std::ptr::with_exposed_provenance_mut(*address), ty) })
}
