//! The functions of `gpsimd::math` of one argument, their references and what their documentation promises.

use std::f32::consts::{self, FRAC_PI_2, FRAC_PI_4, SQRT_2};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

use gpsimd::math;

use crate::measure::Function;

macro_rules! apply {
    ($function:path) => {
        |values| {
            for value in values {
                *value = $function(*value);
            }
        }
    };
}

pub(crate) const EXP: Function = Function {
    name: "exp",
    apply: apply!(math::exp),
    reference: libm::exp,
    domain: |_| true,
    bound: 1.03,
    delicate: &[-107.0, -103.97, -103.28, -87.34, 0.346_573_6, -0.346_573_6, 88.72, 89.0],
};

pub(crate) const EXP_NONPOSITIVE: Function = Function {
    name: "exp_nonpositive",
    apply: apply!(math::exp_nonpositive),
    domain: |x| x <= 0.0,
    bound: 1.02,
    ..EXP
};

pub(crate) const ERF: Function = Function {
    name: "erf",
    apply: apply!(math::erf),
    reference: libm::erf,
    domain: |_| true,
    bound: 1.06,
    delicate: &[0.5, 1.0, 2.0, 3.8, 3.9, 3.925, 4.0],
};

pub(crate) const TANH: Function = Function {
    name: "tanh",
    apply: apply!(math::tanh),
    reference: libm::tanh,
    domain: |_| true,
    bound: 1.41,
    delicate: &[0.5, 1.0, 4.0, 8.0, 8.9, 9.0, 9.01],
};

pub(crate) const RSQRT: Function = Function {
    name: "rsqrt",
    apply: apply!(math::rsqrt),
    reference: |x| 1.0 / x.sqrt(),
    domain: |_| true,
    bound: 1.5,
    delicate: &[1.0, 2.0, 4.0],
};

pub(crate) const GELU: Function = Function {
    name: "gelu",
    apply: apply!(math::gelu),
    reference: gelu,
    domain: |_| true,
    bound: 3.16,
    delicate: &[-14.62, -14.36, -14.0, -13.1, -12.9, -1.0, -0.751_791_5, 1.0, 5.5, 14.62],
};

pub(crate) const GELU_DERIVATIVE: Function = Function {
    name: "gelu_derivative",
    apply: apply!(math::gelu_derivative),
    reference: gelu_derivative,
    domain: |_| true,
    bound: 3.54,
    delicate: &[-14.62, -14.58, -14.54, -14.0, -13.2, -SQRT_2, -0.76, ZERO_OF_DERIVATIVE, -0.74, SQRT_2, 5.5, 14.62],
};

pub(crate) const LOG: Function = Function {
    name: "log",
    apply: apply!(math::log),
    reference: libm::log,
    domain: |_| true,
    bound: 0.95,
    delicate: &[2.0 / 3.0, 1.0, 4.0 / 3.0, 2.0, 1e-40],
};

pub(crate) const LOG2: Function =
    Function { name: "log2", apply: apply!(math::log2), reference: libm::log2, bound: 1.25, ..LOG };

pub(crate) const LOG1P: Function = Function {
    name: "log1p",
    apply: apply!(math::log1p),
    reference: libm::log1p,
    domain: |_| true,
    bound: 1.13,
    delicate: &[-1.0, -0.5, -1.0 / 3.0, 1.0 / 3.0, 1.0, 16_777_216.0],
};

pub(crate) const EXP2: Function = Function {
    name: "exp2",
    apply: apply!(math::exp2),
    reference: libm::exp2,
    domain: |_| true,
    bound: 0.88,
    delicate: &[-150.0, -149.0, -126.0, -0.5, 0.5, 1.0, 127.0, 128.0],
};

pub(crate) const EXPM1: Function = Function {
    name: "expm1",
    apply: apply!(math::expm1),
    reference: libm::expm1,
    domain: |_| true,
    bound: 1.46,
    delicate: &[-18.0, -17.33, -1.04, -0.41, 0.41, 1.04, 88.02, 88.38, 88.72, 89.0],
};

pub(crate) const SIGMOID: Function = Function {
    name: "sigmoid",
    apply: apply!(math::sigmoid),
    reference: |x| 1.0 / (1.0 + libm::exp(-x)),
    domain: |_| true,
    bound: 1.48,
    delicate: &[-106.5, -103.97, -103.28, -87.34, -0.346_573_6, 0.346_573_6, 17.33],
};

pub(crate) const SIN: Function = Function {
    name: "sin",
    apply: apply!(math::sin),
    reference: libm::sin,
    domain: |_| true,
    bound: 1.08,
    // Multiples of pi/4; the largest errors; and an f32 which is almost a multiple of pi.
    delicate: &[FRAC_PI_4, 1.0, FRAC_PI_2, consts::PI, 3.0 * FRAC_PI_2, 1.528_269e17, 3.056_538e17, 4.870_576e23],
};

pub(crate) const COS: Function = Function { name: "cos", apply: apply!(math::cos), reference: libm::cos, ..SIN };

pub(crate) const FUNCTIONS: [Function; 15] =
    [EXP, EXP_NONPOSITIVE, EXP2, EXPM1, LOG, LOG2, LOG1P, SIGMOID, SIN, COS, ERF, TANH, RSQRT, GELU, GELU_DERIVATIVE];

/// x Phi(x) by the complementary error function, which keeps the relative accuracy of the negative tail.
pub(crate) fn gelu(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        return 0.0; // the limit
    }
    0.5 * x * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// The f32 nearest to the zero of the derivative.
pub(crate) const ZERO_OF_DERIVATIVE: f32 = -0.751_791_54;

/// Phi(x) + x phi(x), by its Taylor series where the two terms cancel.
pub(crate) fn gelu_derivative(x: f64) -> f64 {
    // The zero r = HIGH + LOW, and the Taylor coefficients there, by mpmath.
    const HIGH: f64 = -0.751_791_524_693_564_5;
    const LOW: f64 = 1.495_675_917_700_988_3e-17;
    const TAYLOR: [f64; 8] = [
        0.431_493_992_314_046_98,
        0.388_284_982_990_551_98,
        -0.018_199_676_398_671_087,
        -0.114_008_233_297_221_71,
        -0.014_771_522_148_244_338,
        0.019_421_679_838_189_066,
        0.004_539_228_379_125_415_6,
        -0.002_239_538_068_073_497_2,
    ];
    if x.is_infinite() {
        return if x > 0.0 { 1.0 } else { 0.0 }; // the limits
    }
    let distance = (x - HIGH) - LOW;
    if distance.abs() < 1.0 / 64.0 {
        return TAYLOR.iter().rev().fold(0.0, |sum, c| (sum + c) * distance);
    }
    let density = libm::exp(-0.5 * x * x) / libm::sqrt(2.0 * PI);
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2) + x * density
}
