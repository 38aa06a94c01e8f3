//! Calls an op's shape function and says in words why it refuses.

use gpsimd_abi as abi;
use gpsimd_descriptor::ElementType;

use crate::error::{OperandError, kernel_text};
use crate::library::{Op, PhaseArgument};
use crate::operands;
use crate::tensor::TensorType;

impl Op {
    /// The types of the outputs for tensor operands of these types and these sizes, each in the descriptor's order; runs
    /// no kernel.
    ///
    /// # Errors
    /// When the operands do not fit the descriptor or the op's shape function refuses them.
    pub fn shape(&self, operands: &[TensorType], sizes: &[usize]) -> Result<Vec<TensorType>, OperandError> {
        operands::verify_count(self, operands.len())?;
        let expected = self.entry().sizes;
        if sizes.len() != expected {
            return Err(OperandError::SizeCount { op: self.name().into(), expected, found: sizes.len() });
        }
        let types: Vec<_> =
            operands.iter().copied().chain(sizes.iter().map(|size| TensorType::of_size(*size))).collect();
        let outputs = self.phase_types(&types)?;
        Ok(self.second_types(&types, &outputs)?.unwrap_or(outputs))
    }

    /// The types of the second phase's outputs, for these types of tensor operands and sizes, and of the first phase's
    /// outputs.
    pub(crate) fn second_types(
        &self,
        types: &[TensorType],
        outputs: &[TensorType],
    ) -> Result<Option<Vec<TensorType>>, OperandError> {
        let Some((second, arguments)) = self.second_phase() else { return Ok(None) };
        let tensors = arguments.iter().filter_map(|argument| match argument {
            PhaseArgument::Output(output) => Some(outputs[*output]),
            PhaseArgument::Tensor(tensor) => Some(types[*tensor]),
            PhaseArgument::Scalar(..) => None,
        });
        let sizes = arguments.iter().filter_map(|argument| match argument {
            PhaseArgument::Scalar(_, size) => size.map(|size| types[self.entry().tensors + size]),
            _ => None,
        });
        second.phase_types(&tensors.chain(sizes).collect::<Vec<_>>()).map(Some)
    }

    /// The types of the first phase's outputs, for the types of tensor operands and sizes, of which there are as many.
    pub(crate) fn phase_types(&self, types: &[TensorType]) -> Result<Vec<TensorType>, OperandError> {
        let tensors = &types[..self.entry().tensors];
        operands::verify_types(self, tensors)?;
        for (name, ty) in self.descriptor().sizes().zip(&types[tensors.len()..]) {
            operands::verify_size(self, name, *ty)?;
        }
        let outputs = self.call_shape(types)?;
        self.verify_outputs(tensors, &outputs)?;
        for (output, ty) in self.descriptor().outputs.iter().zip(&outputs) {
            operands::verify_dims(self, &output.name, *ty)?;
        }
        Ok(outputs)
    }

    /// The shape function returns the dtypes that the kernel writes.
    fn verify_outputs(&self, operands: &[TensorType], types: &[TensorType]) -> Result<(), OperandError> {
        let descriptor = self.descriptor();
        let mut parameters = None;
        for (output, ty) in descriptor.outputs.iter().zip(types) {
            let fits = match output.element {
                ElementType::Any => true,
                ElementType::Fixed(dtype) => ty.dtype() == dtype,
                ElementType::Parameter(index) => {
                    let dtypes = || operands.iter().map(TensorType::dtype).collect::<Vec<_>>();
                    parameters.get_or_insert_with(|| descriptor.resolve(&dtypes()))[index] == Some(ty.dtype())
                }
            };
            if !fits {
                let (dtype, name) = (ty.dtype().name(), &output.name);
                let written = match output.element {
                    ElementType::Fixed(dtype) => dtype.name().to_owned(),
                    _ => "the type of its operands".to_owned(),
                };
                return Err(self.broken(format!("{dtype} where the kernel writes `{name}` in {written}")));
            }
        }
        Ok(())
    }

    fn call_shape(&self, types: &[TensorType]) -> Result<Vec<TensorType>, OperandError> {
        let nothing = abi::RawTensorType { dtype: 0, rank: 0, dims: [0; abi::MAX_RANK] };
        let count = self.descriptor().outputs.len();
        let mut outputs = [nothing; abi::MAX_OUTPUTS];
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
            (self.entry().functions.shape)(
                operands.as_ptr(),
                operands.len() as u32,
                outputs.as_mut_ptr(),
                count as u32,
                &raw mut error,
            )
        };
        match status {
            abi::STATUS_OK => outputs[..count].iter().map(|output| self.output_type(output)).collect(),
            abi::STATUS_FAILED => Err(self.explain(&error, types)),
            status => Err(self.broken(format!("status {status}"))),
        }
    }

    fn output_type(&self, output: &abi::RawTensorType) -> Result<TensorType, OperandError> {
        TensorType::from_abi(output).ok_or_else(|| {
            let dims = output.dims.get(..output.rank as usize).unwrap_or(&output.dims);
            self.broken(format!("dtype {} and rank {} with sizes {dims:?}", output.dtype, output.rank))
        })
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
            let tensors = names.zip(operands).map(|(name, ty)| format!("`{name}` {ty}"));
            let sizes = self.descriptor().sizes().zip(&operands[self.entry().tensors..]);
            let sizes = sizes.map(|(name, ty)| format!("`{name}` {}", ty.len()));
            let operands = tensors.chain(sizes).collect::<Vec<_>>().join(", ");
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
