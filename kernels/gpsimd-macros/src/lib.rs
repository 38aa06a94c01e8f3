//! The macros of gpsimd kernels: `#[custom_op]`, `op_library!` and `print!`. Use them through the crate `gpsimd`.

mod arguments;
mod crates;
mod custom_op;
mod gradient;
mod kernel;
mod names;
mod op_library;
mod print;
mod reference;

use proc_macro::TokenStream;
use quote::quote;

/// Makes a function the kernel of an op.
///
/// ```
/// # use gpsimd::prelude::*;
/// # fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> { Ok(*x) }
/// #[custom_op(shape = like_x)]
/// pub fn scale<T: Float>(core: &Core, x: Input<T>, factor: f32, y: Output<T>) -> OpResult {
///     core.map(&x, y, |x| T::from_f32(factor * x.to_f32()))
/// }
/// ```
///
/// The function takes the core, then the operands (`Input<T>` tensors; scalars of type `f32`, `i32`, `u32` and `bool`;
/// sizes, `usize`), then the outputs, `Output<T>`, and returns `OpResult`. It may have type parameters, each of which
/// stands for the types that its bound names (`Element`, `Number`, `Float`, `Integer`), with a version for each;
/// `Input<f32>`, `Input<i32>`, .. fix an operand's dtype. Beside the function stands a hidden macro of the same name,
/// by which [`op_library!`] finds the op, through any `use`.
///
/// | argument | meaning |
/// |---|---|
/// | `shape = f` | `f(&TensorType, ..) -> Result<TensorType, ShapeError>` takes the type of every tensor operand, and every size (`usize`), and returns the output's, or an array of types for several outputs. Required. |
/// | `replaces = x` | the output has the type of operand `x` and may take its storage: a CPU updates it in place. The walk reads `x` before it is replaced; by hand, read it with `Tcm::update` or `Tcm::transform`. |
/// | `replaces(y = x, m = n)` | the same, of an op with several outputs. |
/// | `returns(y = i64)` | PyTorch gets the `Output<i32>` `y` as int64, or, with `bool`, an `Output<u8>` as bool. |
/// | `then = op(partial, x)` | a second phase: when all cores have ended, `op`, of the same library, is launched on outputs and operands of this one, and its outputs are those of the op. The outputs of this function are a workspace between the two. |
/// | `gradient(x, b) = op(grad, x, b)` | the gradient with respect to `x` and `b` is what `op`, of the same library, returns for the gradient of the output (`grad`; of several, `grad(y)`), operands, outputs, numbers, or `!flag` of a bool operand; summed over dimensions in which the operand was broadcast. Of an `op` with several outputs, each is the gradient of one operand. May be given several times. |
/// | `gradient(b) = grad` | the gradient with respect to `b` is that of the output, summed over dimensions in which `b` was broadcast. |
/// | `gradient(b) = .. except(row(n), "why")` | the gradient is meant not to be the derivative in the row of `b` whose number is the i32 or u32 scalar `n`: `cargo gpsimd check` compares the other elements, and prints why not these. `overwritten(index)`: those whose index, in the i32 tensor `index` of the same shape, comes again later in its row. |
/// | `reference = "module:function"` | a Python function that computes the same in float64, with which `cargo gpsimd check` compares the op. It gets the operands in their order, tensors of PyTorch (float64, int64) and numbers, and returns a tensor, or one for each output. |
/// | `reference = f` | the same of a Rust function of the crate, beside which stands `#[reference]`: it takes the operands in their order, tensors as `F64Tensor`, f32 as f64, other numbers as they are, and writes the outputs, each a `&mut [f64]`. |
/// | `tolerance = (r, a)` | how far a float may be from that function: `r` of its own size and `a` of the largest of the output. |
///
/// Two outputs, the first in the place of an operand, and a size:
///
/// ```
/// # use gpsimd::prelude::*;
/// fn shape(x: &TensorType, k: usize) -> Result<[TensorType; 2], ShapeError> {
///     x.expect_rank(1)?;
///     Ok([*x, x.with_dtype::<i32>().with_shape(&[k])?])
/// }
///
/// /// y = x^2; counts = 0, 1, .. k - 1.
/// #[custom_op(shape = shape, replaces(y = x), gradient(x) = square_backward(grad(y), x))]
/// pub fn square(core: &Core, x: Input<f32>, k: usize, y: Output<f32>, mut counts: Output<i32>) -> OpResult {
///     core.map(&x, y, |x| x * x)?;
///     for range in core.share(k, LANES).chunks(256) {
///         let mut stage = core.tcm().stage(&mut counts, range.clone())?;
///         for (to, i) in stage.iter_mut().zip(range) {
///             *to = i as i32;
///         }
///         stage.store()?;
///     }
///     Ok(())
/// }
/// # fn like_dy(dy: &TensorType, _: &TensorType) -> Result<TensorType, ShapeError> { Ok(*dy) }
/// # #[custom_op(shape = like_dy)]
/// # pub fn square_backward(core: &Core, dy: Input<f32>, x: Input<f32>, dx: Output<f32>) -> OpResult {
/// #     core.map((&dy, &x), dx, |(dy, x)| 2.0 * dy * x)
/// # }
/// # mod library {
/// #     use super::{square, square_backward};
/// #     gpsimd::prelude::op_library! { name: "squares", ops: [square, square_backward] }
/// # }
/// # fn main() {}
/// ```
#[proc_macro_attribute]
pub fn custom_op(arguments: TokenStream, item: TokenStream) -> TokenStream {
    custom_op::expand(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Collects ops into the op library that this crate builds.
///
/// ```
/// # mod scaling {
/// #     use gpsimd::prelude::*;
/// #     fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> { Ok(*x) }
/// #     #[custom_op(shape = like_x)]
/// #     pub fn scale(core: &Core, x: Input<f32>, factor: f32, y: Output<f32>) -> OpResult {
/// #         core.map(&x, y, |x| factor * x)
/// #     }
/// # }
/// # use gpsimd::prelude::*;
/// op_library! { name: "my_ops", ops: [scaling::scale] }
/// # fn main() {}
/// ```
///
/// An op may come from another crate, by its path, `ops: [bert_ops::adamw_step, my_op]`, also from one that is an op
/// library itself. What leaves the crate, the C entry point on a host and the exports of an image, is that of the library
/// that `cargo gpsimd build` builds alone: it sets the environment variables `GPSIMD_LIBRARY` and, for the crate `my_ops`,
/// `GPSIMD_LIBRARY_my_ops`.
///
/// Makes `OP_LIBRARY` and the C entry point on a host; on `wasm32-unknown-unknown` the exports `run:<op>` and
/// `shape:<op>` and the custom section `gpsimd.descriptor`. Optional: `tcm: BYTES`, how much of the 16 KiB pool the
/// image keeps for buffers (default 12288; the stack and the statics need the rest). Beyond 10 ops, or with a name that
/// the vendor's tools reserve, it does not compile.
#[proc_macro]
pub fn op_library(input: TokenStream) -> TokenStream {
    op_library::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Prints from a core: `print!(core, "row {}: sum {sum}\n", row)`.
///
/// The format string is split at compile time; `{}` and `{name}` print floats, integers, `bool` and `&'static str`.
/// Under emulation a finished line goes to stderr with the op and the core's id; on the device, `printf` shows what
/// core 0 prints.
#[proc_macro]
pub fn print(input: TokenStream) -> TokenStream {
    print::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a function one of hosts alone, with all of `std`'s mathematics, for [`custom_op`]'s `reference = f`: it computes in f64
/// what the op does, and `cargo gpsimd check` compares the two. It is not in kernel images.
#[proc_macro_attribute]
pub fn reference(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let (arguments, item) = (proc_macro2::TokenStream::from(arguments), proc_macro2::TokenStream::from(item));
    if !arguments.is_empty() {
        let message = "`#[reference]` has no arguments; an op names the function: `#[custom_op(.., reference = f)]`";
        return syn::Error::new_spanned(arguments, message).into_compile_error().into();
    }
    quote! {
        #[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
        #item
    }
    .into()
}
