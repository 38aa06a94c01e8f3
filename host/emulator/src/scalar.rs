//! [`Scalar`]: an operand that is a number.

use gpsimd_descriptor::{OperandKind, ScalarType};

/// An operand that is a number: a scalar, or a size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// Of an op's `f32`.
    F32(f32),
    /// Of an op's `i32`.
    I32(i32),
    /// Of an op's `u32`.
    U32(u32),
    /// Of an op's `bool`.
    Bool(bool),
    /// Of an op's `usize`, which its shape function sees.
    Size(usize),
}

impl Scalar {
    /// What an operand has to be for this number, as its descriptor says it.
    pub(crate) const fn kind(self) -> OperandKind {
        match self {
            Self::F32(_) => OperandKind::Scalar(ScalarType::F32),
            Self::I32(_) => OperandKind::Scalar(ScalarType::I32),
            Self::U32(_) => OperandKind::Scalar(ScalarType::U32),
            Self::Bool(_) => OperandKind::Scalar(ScalarType::Bool),
            Self::Size(_) => OperandKind::Size,
        }
    }

    /// A number for an operand of which nothing is known, to try an op with: `size` for a size; none for a tensor.
    pub const fn ordinary(kind: OperandKind, size: usize) -> Option<Self> {
        match kind {
            OperandKind::Tensor(_) => None,
            OperandKind::Scalar(ScalarType::F32) => Some(Self::F32(0.5)),
            OperandKind::Scalar(ScalarType::I32) => Some(Self::I32(1)),
            OperandKind::Scalar(ScalarType::U32) => Some(Self::U32(1)),
            OperandKind::Scalar(ScalarType::Bool) => Some(Self::Bool(true)),
            OperandKind::Size => Some(Self::Size(size)),
        }
    }

    /// The bits that travel to the cores, in the tensor `params`; none for a size.
    pub const fn bits(self) -> Option<i32> {
        match self {
            Self::F32(value) => Some(value.to_bits().cast_signed()),
            Self::I32(value) => Some(value),
            Self::U32(value) => Some(value.cast_signed()),
            Self::Bool(value) => Some(value as i32),
            Self::Size(_) => None,
        }
    }
}

macro_rules! from {
    ($($variant:ident: $ty:ty),+) => {
        $(impl From<$ty> for Scalar {
            fn from(value: $ty) -> Self {
                Self::$variant(value)
            }
        })+
    };
}

from! { F32: f32, I32: i32, U32: u32, Bool: bool, Size: usize }

#[cfg(test)]
mod tests {
    use gpsimd_descriptor::ElementType;

    use super::*;

    #[test]
    fn a_number_to_try_an_op_with_is_of_the_operands_kind_and_not_nothing() {
        let scalars = [ScalarType::F32, ScalarType::I32, ScalarType::U32, ScalarType::Bool].map(OperandKind::Scalar);
        for kind in scalars.into_iter().chain([OperandKind::Size]) {
            let scalar = Scalar::ordinary(kind, 7).unwrap();
            assert_eq!(scalar.kind(), kind);
            assert_ne!(scalar.bits(), Some(0), "{kind:?}");
        }
        assert_eq!(Scalar::ordinary(OperandKind::Size, 7), Some(Scalar::Size(7)));
        assert_eq!(Scalar::ordinary(OperandKind::Tensor(ElementType::Any), 7), None);
    }
}
