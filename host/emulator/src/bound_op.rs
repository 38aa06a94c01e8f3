//! [`BoundOp`]: an op with its operands, and the type of the output that follows from them.

use crate::error::LaunchError;
use crate::library::Op;
use crate::operands;
use crate::tensor::{TensorType, TensorView};

/// An op with its operands, verified: for a caller that has to know the type of the output before it can allocate it.
/// The op's shape function has been called, and is not called again by
/// [`Engine::launch_bound`](crate::Engine::launch_bound).
#[derive(Debug)]
pub struct BoundOp<'a> {
    pub(crate) op: &'a Op,
    pub(crate) tensors: &'a [TensorView<'a>],
    pub(crate) scalars: &'a [f32],
    /// The types of `tensors`.
    pub(crate) types: Vec<TensorType>,
    output_type: TensorType,
}

impl Op {
    /// The op with these operands: tensors and scalars in the descriptor's order.
    ///
    /// # Errors
    /// When the operands do not fit the descriptor or the op's shape function refuses them.
    pub fn bind<'a>(&'a self, tensors: &'a [TensorView<'a>], scalars: &'a [f32]) -> Result<BoundOp<'a>, LaunchError> {
        let types = operands::types(tensors);
        operands::verify_count(self, types.len())?;
        operands::verify_scalars(self, scalars)?;
        let output_type = self.shape(&types)?;
        Ok(BoundOp { op: self, tensors, scalars, types, output_type })
    }
}

impl BoundOp<'_> {
    /// The type that the output has to be of.
    pub const fn output_type(&self) -> TensorType {
        self.output_type
    }
}
