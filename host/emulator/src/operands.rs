//! Whether operands fit an op's descriptor and the vendor's limits.

use gpsimd_abi::DType;
use gpsimd_descriptor::limits::{MAX_DIM, MAX_LARGE_DIM, MAX_LARGE_DIMS};
use gpsimd_descriptor::{ElementType, OperandKind};

use crate::error::OperandError;
use crate::library::Op;
use crate::scalar::Scalar;
use crate::tensor::{TensorType, TensorView, TensorViewMut};

/// The types of tensors, with room for the others of a launch: operands that are replaced in place, sizes, `params`, the
/// outputs.
pub(crate) fn types(tensors: &[TensorView<'_>]) -> Vec<TensorType> {
    let mut types = Vec::with_capacity(tensors.len() + 5);
    types.extend(tensors.iter().map(TensorView::ty));
    types
}

/// Adds the tensors that sizes are the lengths of.
pub(crate) fn push_sizes(types: &mut Vec<TensorType>, scalars: &[Scalar]) {
    for scalar in scalars {
        if let Scalar::Size(size) = *scalar {
            types.push(TensorType::of_size(size));
        }
    }
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

/// Number, dtypes and shapes of the tensor operands.
pub(crate) fn verify_types(op: &Op, types: &[TensorType]) -> Result<(), OperandError> {
    verify_count(op, types.len())?;
    // Of every type parameter, the first operand that has it.
    let mut first: Vec<Option<(&str, DType)>> = vec![None; op.descriptor().types.len()];
    for ((name, element), &ty) in op.descriptor().tensors().zip(types) {
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

/// Number and types of scalars and sizes.
pub(crate) fn verify_scalars(op: &Op, scalars: &[Scalar]) -> Result<(), OperandError> {
    let mut found = scalars.iter();
    for operand in &op.descriptor().operands {
        if let OperandKind::Tensor(_) = operand.kind {
            continue;
        }
        match found.next() {
            Some(scalar) if scalar.kind() == operand.kind => {}
            Some(scalar) => {
                let (op, expected, found) = (op.name().into(), operand.kind, scalar.kind());
                return Err(OperandError::ScalarType { op, operand: operand.name.clone(), expected, found });
            }
            None => return Err(scalar_count(op, scalars.len())),
        }
    }
    if found.next().is_none() { Ok(()) } else { Err(scalar_count(op, scalars.len())) }
}

#[cold]
fn scalar_count(op: &Op, found: usize) -> OperandError {
    let kinds = op.descriptor().operands.iter().map(|operand| operand.kind);
    let expected = kinds.filter(|kind| !matches!(kind, OperandKind::Tensor(_))).count();
    OperandError::ScalarCount { op: op.name().into(), expected, found }
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

/// The vendor's limit on a size, which is the length of a tensor.
pub(crate) fn verify_size(op: &Op, name: &str, ty: TensorType) -> Result<(), OperandError> {
    let found = ty.len();
    if found as u64 <= MAX_LARGE_DIM {
        Ok(())
    } else {
        Err(OperandError::Size { op: op.name().into(), size: name.into(), found })
    }
}

/// The outputs' types against what the shape function says.
pub(crate) fn verify_outputs(op: &Op, expected: &[TensorType], found: &[TensorType]) -> Result<(), OperandError> {
    if expected.len() != found.len() {
        let (op, expected, found) = (op.name().into(), expected.len(), found.len());
        return Err(OperandError::OutputCount { op, expected, found });
    }
    for ((output, &expected), &found) in op.descriptor().outputs.iter().zip(expected).zip(found) {
        if expected != found {
            let (op, output) = (op.name().into(), output.name.clone());
            let (expected, found) = (Box::new(expected), Box::new(found));
            return Err(OperandError::OutputType { op, output, expected, found });
        }
    }
    Ok(())
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

/// That output `output`, which is at these places, shares no byte with what `name` is.
pub(crate) fn verify_apart(
    places: &[Place],
    other: Place,
    error: impl FnOnce() -> OperandError,
) -> Result<(), OperandError> {
    if places.iter().all(|place| place.is_apart(other)) { Ok(()) } else { Err(error()) }
}

/// Some bytes of memory.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    address: usize,
    bytes: usize,
}

impl Place {
    pub(crate) fn of(view: &TensorView<'_>) -> Self {
        Self { address: view.as_ptr().addr(), bytes: view.ty().bytes() }
    }

    pub(crate) fn of_output(view: &TensorViewMut<'_>) -> Self {
        Self { address: view.as_ptr().addr(), bytes: view.ty().bytes() }
    }

    fn is_apart(self, other: Self) -> bool {
        // No sum overflows: both are allocations.
        self.bytes == 0
            || other.bytes == 0
            || self.address + self.bytes <= other.address
            || other.address + other.bytes <= self.address
    }
}
