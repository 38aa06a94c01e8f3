//! Calls an op's shape function and says in words why it refuses.

use gpsimd_abi as abi;
use gpsimd_descriptor::ElementType;

use crate::error::{OperandError, kernel_text};
use crate::library::Op;
use crate::operands;
use crate::tensor::TensorType;

impl Op {
    /// The type of the output for operands of these types; runs no kernel.
    ///
    /// # Errors
    /// When the operands do not fit the descriptor or the op's shape function refuses them.
    pub fn shape(&self, operands: &[TensorType]) -> Result<TensorType, OperandError> {
        operands::verify_types(self, operands.iter().copied())?;
        let ty = self.call_shape(operands)?;
        self.verify_output(operands, ty)?;
        operands::verify_dims(self, &self.descriptor().output.name, ty)?;
        Ok(ty)
    }

    /// The shape function returns the dtype that the kernel writes.
    fn verify_output(&self, operands: &[TensorType], ty: TensorType) -> Result<(), OperandError> {
        let descriptor = self.descriptor();
        let dtypes: Vec<_> = operands.iter().map(TensorType::dtype).collect();
        let fits = match descriptor.output.element {
            ElementType::Any => true,
            ElementType::Fixed(dtype) => ty.dtype() == dtype,
            ElementType::Parameter(index) => descriptor.resolve(&dtypes)[index] == Some(ty.dtype()),
        };
        if fits {
            return Ok(());
        }
        let output = &descriptor.output.name;
        Err(self.broken(format!("{} where the kernel writes `{output}` in another dtype", ty.dtype().name())))
    }

    fn call_shape(&self, types: &[TensorType]) -> Result<TensorType, OperandError> {
        let nothing = abi::RawTensorType { dtype: 0, rank: 0, dims: [0; abi::MAX_RANK] };
        let mut output = nothing;
        let mut error = abi::RawShapeError {
            code: 0,
            operand: 0,
            dim: 0,
            expected: 0,
            found: 0,
            message: abi::Text { data: std::ptr::null(), len: 0 },
        };
        let operands: Vec<_> = types.iter().map(|ty| ty.to_abi()).collect();
        // SAFETY: the function of a verified library, given as many types as it is told, and room for its answers.
        let status = unsafe {
            (self.entry().functions.shape)(operands.as_ptr(), operands.len() as u32, &raw mut output, &raw mut error)
        };
        match status {
            abi::STATUS_OK => TensorType::from_abi(&output).ok_or_else(|| {
                let dims = output.dims.get(..output.rank as usize).unwrap_or(&output.dims);
                self.broken(format!("dtype {} and rank {} with sizes {dims:?}", output.dtype, output.rank))
            }),
            abi::STATUS_FAILED => Err(self.explain(&error, types)),
            status => Err(self.broken(format!("status {status}"))),
        }
    }

    fn explain(&self, error: &abi::RawShapeError, operands: &[TensorType]) -> OperandError {
        let op = self.name().to_owned();
        let &abi::RawShapeError { dim, expected, found, .. } = error;
        if error.code == abi::SHAPE_ERROR_MESSAGE {
            // SAFETY: the shape function's message is readable until the next call.
            return OperandError::Refused { op, message: unsafe { kernel_text(error.message) } };
        }
        if error.code == abi::SHAPE_ERROR_PANIC {
            // SAFETY: as above.
            let message = unsafe { kernel_text(error.message) };
            let names = self.descriptor().tensors().map(|(name, _)| name);
            let operands =
                names.zip(operands).map(|(name, ty)| format!("`{name}` {ty}")).collect::<Vec<_>>().join(", ");
            return OperandError::ShapePanicked { op, message, operands };
        }
        let Some((operand, _)) = self.descriptor().tensors().nth(error.operand as usize) else {
            return self.broken(format!("an error about operand number {}", error.operand));
        };
        let operand = operand.to_owned();
        match error.code {
            abi::SHAPE_ERROR_RANK => OperandError::Rank { op, operand, expected, found },
            abi::SHAPE_ERROR_MIN_RANK => OperandError::MinRank { op, operand, expected, found },
            abi::SHAPE_ERROR_DIM => OperandError::Dim { op, operand, dim, expected, found },
            abi::SHAPE_ERROR_BROADCAST => OperandError::Broadcast { op, operand, dim, expected, found },
            code => self.broken(format!("an error of unknown code {code}")),
        }
    }

    fn broken(&self, what: String) -> OperandError {
        OperandError::ShapeBroken { op: self.name().to_owned(), what }
    }
}
