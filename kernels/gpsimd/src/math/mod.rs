//! Elementary functions in f32 for 16 lanes.
mod erf;
mod exp;
mod gelu;
mod intrinsics;
mod rsqrt;
mod tanh;

pub use erf::erf;
pub use exp::{exp, exp_nonpositive};
pub use gelu::{gelu, gelu_derivative};
pub use intrinsics::{fma, sqrt};
pub use rsqrt::rsqrt;
pub use tanh::tanh;
