//! Elementary functions in f32 for 16 lanes.
//!
//! The rules that make a loop over a slice run on all lanes, with the same bits on every IEEE 754 machine:
//!
//! - No branches, tables or calls: a choice is `if a < b { a } else { b }`, which compilers turn into a minimum or a
//!   blend. A comparison with NaN is false, so the operand that may be NaN stands in the `else`.
//! - No `f32::max` and `f32::min`: what they do with NaN costs three instructions.
//! - The order of operations is the one written, and a product and a sum are fused exactly where [`fma`] says so.
//! - Denormal numbers are numbers, as inputs and as results.
//!
//! | function | maximal error over every f32, in ulps | at |
//! |---|---|---|
//! | [`exp`] | 1.03 | 70.40562 |
//! | [`exp_nonpositive`] | 1.02 | -50.252922 |
//! | [`exp2`] | 0.88 | -126.4965 |
//! | [`expm1`] | 1.46 | 16.99975 |
//! | [`log`] | 0.95 | 0.37458768 |
//! | [`log2`] | 1.25 | 0.7432393 |
//! | [`log1p`] | 1.13 | -0.24999999 |
//! | [`sigmoid`] | 1.48 | -3.4346342 |
//! | [`sin`] | 1.08 | 3.056538e17 |
//! | [`cos`] | 1.08 | 1.528269e17 |
//! | [`erf`] | 1.06 | 0.9381229 |
//! | [`tanh`] | 1.41 | 0.6529453 |
//! | [`rsqrt`] | 1.50 | 1.1827658e-38 |
//! | [`gelu`] | 3.16 | -0.065890364 |
//! | [`gelu_derivative`] | 3.54 | -0.041805834 |
//!
//! [`pow`] is measured over a sample, as its pairs of arguments are too many: 0.95 ulp.
//!
//! An error in ulps is |computed - true| over the distance between the f32 numbers around the true value, at least
//! 2^-149. `tests/math_accuracy` measures it, `fit.py` fits the constants.

mod erf;
mod exp;
mod expm1;
mod gelu;
mod intrinsics;
mod log;
mod pow;
mod rsqrt;
mod sigmoid;
mod sine;
mod tanh;

pub use erf::erf;
pub use exp::{exp, exp_nonpositive, exp2};
pub use expm1::expm1;
pub use gelu::{gelu, gelu_derivative};
pub use intrinsics::{fma, sqrt};
pub use log::{log, log1p, log2};
pub use pow::pow;
pub use rsqrt::rsqrt;
pub use sigmoid::sigmoid;
pub(crate) use sine::sin_cos_of_turn;
pub use sine::{cos, sin};
pub use tanh::tanh;
