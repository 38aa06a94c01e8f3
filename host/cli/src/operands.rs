//! [`Operands`]: what an op is launched on.

use gpsimd_emulator::gpsimd_descriptor::{OpDescriptor, OperandKind};
use gpsimd_emulator::{Scalar, Tensor, TensorType, TensorView};

/// What an op is launched on, in the order of its descriptor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operands {
    /// The tensors.
    pub tensors: Vec<Tensor>,
    /// Scalars and sizes.
    pub scalars: Vec<Scalar>,
}

impl Operands {
    /// The tensors as operands of a launch.
    pub fn views(&self) -> Vec<TensorView<'_>> {
        self.tensors.iter().map(Tensor::view).collect()
    }

    /// The types of the tensors.
    pub fn types(&self) -> Vec<TensorType> {
        self.tensors.iter().map(Tensor::ty).collect()
    }

    /// The sizes among the scalars.
    pub fn sizes(&self) -> Vec<usize> {
        let size = |scalar: &Scalar| if let Scalar::Size(size) = scalar { Some(*size) } else { None };
        self.scalars.iter().filter_map(size).collect()
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.ty().bytes()).sum()
    }

    /// Names and types of the tensors, names and values of scalars and sizes: `x f32[3, 5], k 8`.
    pub fn describe(&self, op: &OpDescriptor) -> String {
        let tensors = op.tensors().zip(&self.tensors).map(|((name, _), tensor)| format!("{name} {}", tensor.ty()));
        let scalars = scalar_names(op).zip(&self.scalars).map(|(name, scalar)| format!("{name} {}", number(*scalar)));
        tensors.chain(scalars).collect::<Vec<_>>().join(", ")
    }
}

/// Names of scalars and sizes, in the order in which a launch gets them.
pub fn scalar_names(op: &OpDescriptor) -> impl Iterator<Item = &str> {
    let is_number = |kind: OperandKind| !matches!(kind, OperandKind::Tensor(_));
    op.operands.iter().filter(move |operand| is_number(operand.kind)).map(|operand| operand.name.as_str())
}

/// The number, exact.
pub fn number(scalar: Scalar) -> String {
    match scalar {
        Scalar::F32(value) => format!("{value:?}"),
        Scalar::I32(value) => value.to_string(),
        Scalar::U32(value) => value.to_string(),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Size(value) => value.to_string(),
    }
}
