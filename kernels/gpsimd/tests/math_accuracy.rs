//! How far `gpsimd::math` is from the true values.
//!
//! The ordinary tests look at a million inputs of every magnitude and at every input around the points where the
//! formulas change: seconds. The figures in the documentation of the functions come from all 2^32 inputs, on every
//! processor of the host, in about a quarter of an hour:
//!
//! ```text
//! RUSTFLAGS="-C target-cpu=native" cargo test --release -p gpsimd --test math_accuracy -- --ignored --nocapture
//! ```
//!
//! The references are f64: `libm`'s functions in forms that cancel nothing, held against values from mpmath below.

use std::f64::consts::{FRAC_1_SQRT_2, PI};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use gpsimd::math;

/// One function of `gpsimd::math` with what it is measured against.
struct Function {
    name: &'static str,
    /// Applies it to a slice, the loop that kernels vectorise.
    apply: fn(&mut [f32]),
    reference: fn(f64) -> f64,
    /// The inputs it is specified for; NaN always is.
    domain: fn(f32) -> bool,
    /// What its documentation promises, in ulps.
    bound: f64,
    /// Inputs around which every neighbour is tested.
    delicate: &'static [f32],
}

macro_rules! apply {
    ($function:path) => {
        |values| {
            for value in values {
                *value = $function(*value);
            }
        }
    };
}

const EXP: Function = Function {
    name: "exp",
    apply: apply!(math::exp),
    reference: libm::exp,
    domain: |_| true,
    bound: 0.0,
    delicate: &[-107.0, -103.97, -103.28, -87.34, 0.346_573_6, -0.346_573_6, 88.72, 89.0],
};

const EXP_NONPOSITIVE: Function = Function {
    name: "exp_nonpositive",
    apply: apply!(math::exp_nonpositive),
    domain: |x| x <= 0.0,
    bound: 0.0,
    ..EXP
};

const ERF: Function = Function {
    name: "erf",
    apply: apply!(math::erf),
    reference: libm::erf,
    domain: |_| true,
    bound: 0.0,
    delicate: &[0.5, 1.0, 2.0, 3.8, 3.9, 3.925, 4.0],
};

const TANH: Function = Function {
    name: "tanh",
    apply: apply!(math::tanh),
    reference: libm::tanh,
    domain: |_| true,
    bound: 0.0,
    delicate: &[0.5, 1.0, 4.0, 8.0, 8.9, 9.0, 9.01],
};

const RSQRT: Function = Function {
    name: "rsqrt",
    apply: apply!(math::rsqrt),
    reference: |x| 1.0 / x.sqrt(),
    domain: |_| true,
    bound: 0.0,
    delicate: &[1.0, 2.0, 4.0],
};

const GELU: Function = Function {
    name: "gelu",
    apply: apply!(math::gelu),
    reference: gelu,
    domain: |_| true,
    bound: 0.0,
    delicate: &[-14.62, -14.36, -14.0, -13.1, -12.9, -1.0, -0.751_791_5, 1.0, 5.5, 14.62],
};

const GELU_DERIVATIVE: Function = Function {
    name: "gelu_derivative",
    apply: apply!(math::gelu_derivative),
    reference: gelu_derivative,
    domain: |_| true,
    bound: 0.0,
    delicate: &[-14.62, -14.58, -14.54, -14.0, -13.2, -1.414_213_6, -0.76, ZERO_OF_DERIVATIVE, -0.74, 1.414_213_6, 5.5, 14.62],
};

const FUNCTIONS: [Function; 7] = [EXP, EXP_NONPOSITIVE, ERF, TANH, RSQRT, GELU, GELU_DERIVATIVE];

/// x Phi(x) by the complementary error function, which keeps the relative accuracy of the negative tail.
fn gelu(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        return f64::NAN; // -inf * 0, as PyTorch's formula has it
    }
    0.5 * x * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// The f32 nearest to the zero of the derivative.
const ZERO_OF_DERIVATIVE: f32 = -0.751_791_54;

/// Phi(x) + x phi(x), by its Taylor series where the two terms cancel.
fn gelu_derivative(x: f64) -> f64 {
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
        return f64::NAN; // inf * 0 in the product rule, as PyTorch's autograd has it
    }
    let distance = (x - HIGH) - LOW;
    if distance.abs() < 1.0 / 64.0 {
        return TAYLOR.iter().rev().fold(0.0, |sum, c| (sum + c) * distance);
    }
    let density = libm::exp(-0.5 * x * x) / libm::sqrt(2.0 * PI);
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2) + x * density
}

/// The distance between the f32 numbers around `reference`.
fn ulp(reference: f64) -> f64 {
    let exponent = ((reference as f32).to_bits() >> 23 & 0xff).clamp(1, 254);
    f64::from_bits(u64::from(exponent + 1023 - 127 - 23) << 52)
}

/// How far `value` is from `reference` in ulps: infinite where only one of them is NaN, or overflows.
fn error(value: f32, reference: f64) -> f64 {
    let rounded = reference as f32;
    if value.is_nan() || rounded.is_nan() {
        return if value.is_nan() && rounded.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if value.is_infinite() || rounded.is_infinite() {
        return if value == rounded { 0.0 } else { f64::INFINITY };
    }
    (f64::from(value) - reference).abs() / ulp(reference)
}

/// The largest error seen, and where.
#[derive(Clone, Copy, Default)]
struct Worst {
    error: f64,
    input: f32,
}

impl Worst {
    fn or(self, other: Self) -> Self {
        if other.error > self.error { other } else { self }
    }
}

impl Function {
    fn worst_of(&self, inputs: impl Iterator<Item = f32>) -> Worst {
        let mut worst = Worst::default();
        let mut inputs = inputs.filter(|x| x.is_nan() || (self.domain)(*x)).peekable();
        while inputs.peek().is_some() {
            let x: Vec<f32> = inputs.by_ref().take(4096).collect();
            let mut y = x.clone();
            (self.apply)(&mut y);
            for (&input, &value) in x.iter().zip(&y) {
                worst = worst.or(Worst { error: error(value, (self.reference)(f64::from(input))), input });
            }
        }
        worst
    }

    fn worst_of_sample(&self) -> Worst {
        let everywhere = (0..=u32::MAX).step_by(4099);
        let delicate = self.delicate.iter().chain(&[0.0, -0.0, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, f32::MAX, f32::MIN]);
        let around = delicate.flat_map(|x| (0..=4000).map(move |i| x.to_bits().wrapping_add(i).wrapping_sub(2000)));
        self.worst_of(everywhere.chain(around).map(f32::from_bits))
    }

    fn assert_within_bound(&self) {
        let Worst { error, input } = self.worst_of_sample();
        assert!(
            error <= self.bound,
            "{}({input:?}) is wrong by {error:.3} ulps (input 0x{:08x}); documented: {} ulps",
            self.name,
            input.to_bits(),
            self.bound
        );
    }

    /// Every f32, on every processor.
    fn worst_of_all(&self) -> Worst {
        const CHUNKS: u32 = 4096;
        let (next, worst) = (AtomicU32::new(0), Mutex::new(Worst::default()));
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
                scope.spawn(|| {
                    loop {
                        let chunk = next.fetch_add(1, Ordering::Relaxed);
                        if chunk >= CHUNKS {
                            break;
                        }
                        let first = chunk * (u32::MAX / CHUNKS + 1);
                        let inputs = (first..=first + u32::MAX / CHUNKS).map(f32::from_bits);
                        let found = self.worst_of(inputs);
                        let mut worst = worst.lock().unwrap();
                        *worst = worst.or(found);
                        if chunk % 64 == 0 {
                            eprint!("\r{}: {} %  ", self.name, chunk * 100 / CHUNKS);
                            let _ = std::io::stderr().flush();
                        }
                    }
                });
            }
        });
        worst.into_inner().unwrap()
    }
}

#[test]
#[ignore = "a quarter of an hour: prints the figures that the documentation of gpsimd::math quotes"]
fn every_f32() {
    let only = std::env::var("FUNCTION").ok();
    let mut missed = Vec::new();
    for function in FUNCTIONS.iter().filter(|f| only.as_ref().is_none_or(|name| name == f.name)) {
        let Worst { error, input } = function.worst_of_all();
        println!("\r{:16} {error:.4} ulp at {input:?} (0x{:08x})", function.name, input.to_bits());
        if error > function.bound {
            missed.push(function.name);
        }
    }
    assert!(missed.is_empty(), "less accurate than documented: {missed:?}");
}
