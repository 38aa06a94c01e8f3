//! Between Python's tuples and the emulator's tensors.

use gpsimd_emulator::gpsimd_descriptor::packing::Packing;
use gpsimd_emulator::gpsimd_descriptor::{OperandKind, ScalarType};
use gpsimd_emulator::{DType, Op, Scalar, TensorType, TensorView, TensorViewMut};
use pyo3::prelude::*;

use crate::errors::OperandError;

/// dtype name and shape.
pub(crate) type PyType = (String, Vec<usize>);

/// Address of the first element, dtype name, shape.
pub(crate) type PyTensor = (usize, String, Vec<usize>);

/// First element of each output in the tensor that outputs of these dtype names and numbers of elements are packed in.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "extracted from Python objects")]
pub(crate) fn packing(outputs: Vec<(String, u64)>) -> PyResult<Vec<u64>> {
    let outputs: Vec<_> = outputs.iter().map(|(name, len)| Ok((dtype(name)?, *len))).collect::<PyResult<_>>()?;
    Ok(Packing::of(&outputs).starts)
}

fn dtype(name: &str) -> PyResult<DType> {
    DType::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| {
        let known = DType::ALL.map(DType::name).join(", ");
        OperandError::new_err(format!("the dtype is `{name}`, expected one of {known}"))
    })
}

pub(crate) fn tensor_type(name: &str, shape: &[usize]) -> PyResult<TensorType> {
    let dtype = dtype(name)?;
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

/// The scalars and sizes of a call, as the op takes them. Their number is the launch's to verify.
pub(crate) fn scalars(op: &Op, values: &[Bound<'_, PyAny>]) -> PyResult<Vec<Scalar>> {
    let operands = op.descriptor().operands.iter().filter(|operand| !matches!(operand.kind, OperandKind::Tensor(_)));
    operands
        .zip(values)
        .map(|(operand, value)| {
            let of_range = |expected: &str| {
                OperandError::new_err(format!(
                    "op `{}`: operand `{}` is {value}, expected an integer {expected}",
                    op.name(),
                    operand.name
                ))
            };
            Ok(match operand.kind {
                OperandKind::Scalar(ScalarType::F32) => Scalar::F32(value.extract()?),
                OperandKind::Scalar(ScalarType::Bool) => Scalar::Bool(value.extract()?),
                OperandKind::Scalar(ScalarType::I32) => {
                    Scalar::I32(value.extract().map_err(|_| of_range("from -2147483648 to 2147483647"))?)
                }
                OperandKind::Scalar(ScalarType::U32) => {
                    Scalar::U32(value.extract().map_err(|_| of_range("from 0 to 4294967295"))?)
                }
                OperandKind::Size | OperandKind::Tensor(_) => {
                    let size: u32 = value.extract().map_err(|_| of_range("from 0 to 4294967295"))?;
                    Scalar::Size(size as usize)
                }
            })
        })
        .collect()
}

/// The sizes among scalars.
pub(crate) fn sizes(scalars: &[Scalar]) -> impl Iterator<Item = usize> {
    scalars.iter().filter_map(|scalar| match scalar {
        Scalar::Size(size) => Some(*size),
        _ => None,
    })
}
