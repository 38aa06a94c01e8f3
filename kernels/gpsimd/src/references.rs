//! References of ops in f64: functions of the host that `cargo gpsimd check` compares ops with. No kernel calls them.

use core::ops::Deref;

use gpsimd_abi as abi;

use crate::entry::caught;

/// A tensor operand of a reference, with its elements in f64: those of an integer tensor, too, which are exact.
///
/// ```
/// use gpsimd::prelude::*;
///
/// # fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> { Ok(*x) }
/// /// y = x / (1 + e^-x)
/// #[custom_op(shape = like_x, reference = silu_in_f64)]
/// pub fn silu<T: Float>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
///     core.map(&x, y, |x| T::from_f32(x.to_f32() / (1.0 + math::exp(-x.to_f32()))))
/// }
///
/// #[reference]
/// fn silu_in_f64(x: F64Tensor, y: &mut [f64]) {
///     for (y, x) in y.iter_mut().zip(&*x) {
///         *y = x / (1.0 + (-x).exp());
///     }
/// }
/// # op_library! { name: "example", ops: [silu] }
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug)]
pub struct F64Tensor<'a> {
    shape: &'a [usize],
    elements: &'a [f64],
}

impl<'a> F64Tensor<'a> {
    /// Sizes, outermost first.
    pub const fn shape(&self) -> &'a [usize] {
        self.shape
    }
}

impl Deref for F64Tensor<'_> {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        self.elements
    }
}

/// An operand as a host passes it; which of its methods is called, the kernel's signature says.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Operand<'a>(F64Tensor<'a>);

#[doc(hidden)]
impl<'a> Operand<'a> {
    pub const fn tensor(self) -> F64Tensor<'a> {
        self.0
    }

    /// Of a scalar, the number.
    pub fn f64(self) -> f64 {
        self.0.first().copied().unwrap_or_default()
    }

    pub fn i32(self) -> i32 {
        self.f64() as i32
    }

    pub fn u32(self) -> u32 {
        self.f64() as u32
    }

    pub fn bool(self) -> bool {
        self.f64() != 0.0
    }

    pub fn usize(self) -> usize {
        self.f64() as usize
    }
}

/// Calls a reference; a panic of it is an error.
///
/// # Safety
/// `operands` and `outputs` lead to as many tensors, each of which leads to its elements and sizes; those of outputs, and
/// `error`, may be written, and nothing else uses them.
#[doc(hidden)]
pub unsafe fn call<const OPERANDS: usize, const OUTPUTS: usize>(
    operands: (*const abi::ReferenceTensor, u32),
    outputs: (*const abi::ReferenceTensor, u32),
    error: *mut abi::RawShapeError,
    function: impl FnOnce([Operand<'_>; OPERANDS], [&mut [f64]; OUTPUTS]),
) -> u32 {
    if (operands.1 as usize, outputs.1 as usize) != (OPERANDS, OUTPUTS) {
        return abi::STATUS_FAILED;
    }
    let operands = core::array::from_fn(|i| {
        // SAFETY: the caller's promise, and there are as many.
        let tensor = unsafe { &*operands.0.add(i) };
        // SAFETY: the caller's promise.
        let elements = unsafe { core::slice::from_raw_parts(tensor.elements, tensor.len) };
        // SAFETY: as above.
        Operand(F64Tensor { shape: unsafe { core::slice::from_raw_parts(tensor.shape, tensor.rank) }, elements })
    });
    let outputs = core::array::from_fn(|i| {
        // SAFETY: the caller's promise, and there are as many.
        let tensor = unsafe { &*outputs.0.add(i) };
        // SAFETY: the caller's promise.
        unsafe { core::slice::from_raw_parts_mut(tensor.elements, tensor.len) }
    });
    let result = caught(|| {
        function(operands, outputs);
        Ok(())
    });
    match result {
        Ok(()) => abi::STATUS_OK,
        Err(why) => {
            // SAFETY: the caller's promise.
            unsafe { error.write(why.to_abi()) };
            abi::STATUS_FAILED
        }
    }
}
