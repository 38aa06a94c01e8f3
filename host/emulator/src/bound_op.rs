//! [`BoundOp`]: an op with its operands, and the types of the outputs that follow from them.

use crate::error::LaunchError;
use crate::library::Op;
use crate::operands;
use crate::scalar::Scalar;
use crate::tensor::{TensorType, TensorView};

/// An op with its operands, verified: for a caller that has to know the types of the outputs before it can allocate
/// them. The op's shape function has been called, and is not called again by
/// [`Engine::launch_bound`](crate::Engine::launch_bound).
#[derive(Debug)]
pub struct BoundOp<'a> {
    pub(crate) op: &'a Op,
    pub(crate) tensors: &'a [TensorView<'a>],
    pub(crate) scalars: &'a [Scalar],
    /// The types of `tensors` and of the sizes.
    pub(crate) types: Vec<TensorType>,
    /// Those of the first phase.
    pub(crate) phase_types: Vec<TensorType>,
    /// Those of the second, if there is one.
    second_types: Option<Vec<TensorType>>,
}

impl Op {
    /// The op with these operands: tensors, and scalars and sizes, each in the descriptor's order.
    ///
    /// # Errors
    /// When the operands do not fit the descriptor or the op's shape function refuses them.
    pub fn bind<'a>(
        &'a self,
        tensors: &'a [TensorView<'a>],
        scalars: &'a [Scalar],
    ) -> Result<BoundOp<'a>, LaunchError> {
        let mut types = operands::types(tensors);
        operands::verify_count(self, types.len())?;
        operands::verify_scalars(self, scalars)?;
        operands::push_sizes(&mut types, scalars);
        let phase_types = self.phase_types(&types)?;
        let second_types = self.second_types(&types, &phase_types)?;
        Ok(BoundOp { op: self, tensors, scalars, types, phase_types, second_types })
    }
}

impl BoundOp<'_> {
    /// The types that the outputs have to be of, in the descriptor's order.
    pub fn output_types(&self) -> &[TensorType] {
        self.second_types.as_ref().unwrap_or(&self.phase_types)
    }
}
