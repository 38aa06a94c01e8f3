//! Whether operands fit an op's descriptor and the vendor's limits.

use gpsimd_abi::DType;
use gpsimd_descriptor::ElementType;
use gpsimd_descriptor::limits::{MAX_DIM, MAX_LARGE_DIM, MAX_LARGE_DIMS};

use crate::error::OperandError;
use crate::library::Op;
use crate::tensor::{TensorType, TensorView, TensorViewMut};

/// The types of tensors, with room for the others of a launch: the operand that is replaced in place, `params`, the output.
pub(crate) fn types(tensors: &[TensorView<'_>]) -> Vec<TensorType> {
    let mut types = Vec::with_capacity(tensors.len() + 3);
    types.extend(tensors.iter().map(TensorView::ty));
    types
}

/// Number of the tensor operands.
pub(crate) fn verify_count(op: &Op, found: usize) -> Result<(), OperandError> {
    let expected = op.entry().tensors;
    if found == expected {
        Ok(())
    } else {
        Err(OperandError::TensorCount { op: op.name().into(), expected, found, besides: None })
    }
}

/// Number, dtypes and sizes of the tensor operands.
pub(crate) fn verify_types(op: &Op, types: impl ExactSizeIterator<Item = TensorType>) -> Result<(), OperandError> {
    verify_count(op, types.len())?;
    // Of every type parameter, the first operand that has it.
    let mut first: Vec<Option<(&str, DType)>> = vec![None; op.descriptor().types.len()];
    for ((name, element), ty) in op.descriptor().tensors().zip(types) {
        let found = ty.dtype();
        let accepted = op.descriptor().accepted(element);
        if !accepted.contains(&found) {
            let (op, operand, expected) = (op.name().into(), name.into(), accepted.to_vec());
            return Err(OperandError::DType { op, operand, expected, found });
        }
        if let ElementType::Parameter(index) = element {
            let (other, expected) = *first[index].get_or_insert((name, found));
            if found != expected {
                let (op, operand, other) = (op.name().into(), name.into(), other.into());
                return Err(OperandError::MixedDTypes { op, operand, found, other, expected });
            }
        }
        verify_dims(op, name, ty)?;
    }
    Ok(())
}

/// Number of scalars.
pub(crate) fn verify_scalars(op: &Op, scalars: &[f32]) -> Result<(), OperandError> {
    let expected = op.entry().scalars;
    if scalars.len() == expected {
        Ok(())
    } else {
        Err(OperandError::ScalarCount { op: op.name().into(), expected, found: scalars.len() })
    }
}

/// The vendor's limits on sizes.
pub(crate) fn verify_dims(op: &Op, tensor: &str, ty: TensorType) -> Result<(), OperandError> {
    let small = ty.shape().iter().all(|&size| size <= MAX_DIM);
    let large = ty.rank() <= MAX_LARGE_DIMS && ty.shape().iter().all(|&size| size as u64 <= MAX_LARGE_DIM);
    if small || large {
        Ok(())
    } else {
        Err(OperandError::Dims { op: op.name().into(), tensor: tensor.into(), ty: Box::new(ty) })
    }
}

/// The output's type against what the shape function says.
pub(crate) fn verify_output(op: &Op, expected: TensorType, found: TensorType) -> Result<(), OperandError> {
    if expected == found {
        return Ok(());
    }
    let output = op.descriptor().output.name.clone();
    let (expected, found) = (Box::new(expected), Box::new(found));
    Err(OperandError::OutputType { op: op.name().into(), output, expected, found })
}

/// The type of a tensor whose rows, along its first dimension, are these.
pub(crate) fn stacked(op: &Op, rows: &[TensorViewMut<'_>]) -> Result<TensorType, OperandError> {
    let types: Vec<TensorType> = rows.iter().map(TensorViewMut::ty).collect();
    let stacked = match &types[..] {
        [first, others @ ..] if others.iter().all(|ty| ty == first) => {
            TensorType::new(first.dtype(), &[&[types.len()], first.shape()].concat()).ok()
        }
        _ => None,
    };
    stacked.ok_or_else(|| OperandError::Rows { op: op.name().into(), types })
}

/// That the output, which is where `memory` is, shares no byte with an operand of number `index`.
pub(crate) fn verify_apart(
    op: &Op,
    index: usize,
    operand: &TensorView<'_>,
    memory: &[TensorViewMut<'_>],
) -> Result<(), OperandError> {
    let is_apart = |output: &TensorViewMut<'_>| {
        let (a, b) = (operand.as_ptr().addr(), output.as_ptr().addr());
        let (a_bytes, b_bytes) = (operand.ty().bytes(), output.ty().bytes());
        // No sum overflows: both are allocations.
        a_bytes == 0 || b_bytes == 0 || a + a_bytes <= b || b + b_bytes <= a
    };
    if memory.iter().all(is_apart) {
        return Ok(());
    }
    Err(OperandError::Overlap {
        op: op.name().into(),
        output: op.descriptor().output.name.clone(),
        operand: op.tensor_name(index).into(),
        replaces: op.entry().replaced == Some(index),
    })
}
