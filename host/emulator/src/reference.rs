//! [`Op::reference`]: the reference of an op that is a Rust function, called.

use gpsimd_abi::{RawShapeError, ReferenceTensor, STATUS_OK, Text};

use crate::Op;

/// A tensor of a reference, or a number, which has no dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct F64Tensor {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// As many elements.
    pub elements: Vec<f64>,
}

impl F64Tensor {
    /// Of zeros.
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), elements: vec![0.0; shape.iter().product()] }
    }

    fn raw(&mut self) -> ReferenceTensor {
        assert_eq!(self.elements.len(), self.shape.iter().product::<usize>(), "as many elements as the shape has");
        let Self { shape, elements } = self;
        ReferenceTensor {
            elements: elements.as_mut_ptr(),
            len: elements.len(),
            shape: shape.as_ptr(),
            rank: shape.len(),
        }
    }
}

impl Op {
    /// Whether it names a Rust function as its reference, and is of a library that was loaded from a file: that has the function.
    pub fn has_reference(&self) -> bool {
        self.reference_function().is_some()
    }

    /// Calls that function on operands in their order, which writes `outputs`, that have the shapes of the op's.
    ///
    /// # Errors
    /// When it panics: where, and with what. When there is no such function.
    ///
    /// # Panics
    /// When a tensor has another number of elements than its shape.
    pub fn reference(&self, operands: &mut [F64Tensor], outputs: &mut [F64Tensor]) -> Result<(), String> {
        let function = self.reference_function().ok_or("the library has no such function")?;
        let operands: Vec<_> = operands.iter_mut().map(F64Tensor::raw).collect();
        let outputs: Vec<_> = outputs.iter_mut().map(F64Tensor::raw).collect();
        let message = Text { data: std::ptr::null(), len: 0 };
        let mut error = RawShapeError { code: 0, operand: 0, dim: 0, expected: 0, found: 0, message };
        let (operand_count, output_count) = (operands.len() as u32, outputs.len() as u32);
        // SAFETY: a verified library; tensors lead to vectors that live here, each of them once.
        let status =
            unsafe { function(operands.as_ptr(), operand_count, outputs.as_ptr(), output_count, &raw mut error) };
        if status == STATUS_OK {
            return Ok(());
        }
        // SAFETY: the text is the library's, which lives as long as this op, until its next call.
        let message = unsafe { error.message.bytes() };
        Err(if message.is_empty() {
            "it takes another number of operands or outputs: the library is of another version".to_owned()
        } else {
            String::from_utf8_lossy(message).into_owned()
        })
    }
}
