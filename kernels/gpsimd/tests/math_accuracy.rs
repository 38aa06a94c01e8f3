//! How far `gpsimd::math` is from the true values.
//!
//! The ordinary tests look at some million inputs of every magnitude and at every input around the points where the
//! formulas change: seconds. The figures in the documentation of the functions come from all 2^32 inputs, on every
//! processor of the host, in some ten minutes on two:
//!
//! ```text
//! RUSTFLAGS="-C target-cpu=native" cargo test --release -p gpsimd --test math_accuracy -- --ignored --nocapture
//! ```
//!
//! `FUNCTION=gelu` in the environment restricts that to one function.
//!
//! The references are f64: `libm`'s functions in forms that cancel nothing, held against values from mpmath below.

use std::f32::consts::SQRT_2;
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
    bound: 1.03,
    delicate: &[-107.0, -103.97, -103.28, -87.34, 0.346_573_6, -0.346_573_6, 88.72, 89.0],
};

const EXP_NONPOSITIVE: Function = Function {
    name: "exp_nonpositive",
    apply: apply!(math::exp_nonpositive),
    domain: |x| x <= 0.0,
    bound: 1.02,
    ..EXP
};

const ERF: Function = Function {
    name: "erf",
    apply: apply!(math::erf),
    reference: libm::erf,
    domain: |_| true,
    bound: 1.06,
    delicate: &[0.5, 1.0, 2.0, 3.8, 3.9, 3.925, 4.0],
};

const TANH: Function = Function {
    name: "tanh",
    apply: apply!(math::tanh),
    reference: libm::tanh,
    domain: |_| true,
    bound: 1.41,
    delicate: &[0.5, 1.0, 4.0, 8.0, 8.9, 9.0, 9.01],
};

const RSQRT: Function = Function {
    name: "rsqrt",
    apply: apply!(math::rsqrt),
    reference: |x| 1.0 / x.sqrt(),
    domain: |_| true,
    bound: 1.5,
    delicate: &[1.0, 2.0, 4.0],
};

const GELU: Function = Function {
    name: "gelu",
    apply: apply!(math::gelu),
    reference: gelu,
    domain: |_| true,
    bound: 3.16,
    delicate: &[-14.62, -14.36, -14.0, -13.1, -12.9, -1.0, -0.751_791_5, 1.0, 5.5, 14.62],
};

const GELU_DERIVATIVE: Function = Function {
    name: "gelu_derivative",
    apply: apply!(math::gelu_derivative),
    reference: gelu_derivative,
    domain: |_| true,
    bound: 3.54,
    delicate: &[-14.62, -14.58, -14.54, -14.0, -13.2, -SQRT_2, -0.76, ZERO_OF_DERIVATIVE, -0.74, SQRT_2, 5.5, 14.62],
};

const FUNCTIONS: [Function; 7] = [EXP, EXP_NONPOSITIVE, ERF, TANH, RSQRT, GELU, GELU_DERIVATIVE];

/// x Phi(x) by the complementary error function, which keeps the relative accuracy of the negative tail.
fn gelu(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        return 0.0; // the limit
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
        return if x > 0.0 { 1.0 } else { 0.0 }; // the limits
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
        // The second sample is of the numbers from 2^-12 to 16 with either sign: there the formulas are at work.
        let everywhere = (0..=u32::MAX).step_by(4099);
        let usual = (0x3980_0000..0x4180_0000).step_by(251).flat_map(|bits| [bits, bits | 0x8000_0000]);
        let delicate =
            self.delicate.iter().chain(&[0.0, -0.0, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, f32::MAX, f32::MIN]);
        let around = delicate.flat_map(|x| (0..=4000).map(move |i| x.to_bits().wrapping_add(i).wrapping_sub(2000)));
        self.worst_of(everywhere.chain(usual).chain(around).map(f32::from_bits))
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
fn exp_is_within_its_bound() {
    EXP.assert_within_bound();
}

#[test]
fn exp_nonpositive_is_within_its_bound() {
    EXP_NONPOSITIVE.assert_within_bound();
}

#[test]
fn erf_is_within_its_bound() {
    ERF.assert_within_bound();
}

#[test]
fn tanh_is_within_its_bound() {
    TANH.assert_within_bound();
}

#[test]
fn rsqrt_is_within_its_bound() {
    RSQRT.assert_within_bound();
}

#[test]
fn gelu_is_within_its_bound() {
    GELU.assert_within_bound();
}

#[test]
fn gelu_derivative_is_within_its_bound() {
    GELU_DERIVATIVE.assert_within_bound();
}

#[test]
fn the_references_agree_with_mpmath() {
    type Point = (fn(f64) -> f64, f32, f64);
    let points: [Point; 23] = [
        (EXP.reference, -103.5, 1.123_365_606_080_569_1e-45),
        (EXP.reference, -1.5, 0.223_130_160_148_429_82),
        (EXP.reference, 88.5, 2.723_087_825_068_111_7e38),
        (ERF.reference, 0.001, 0.001_128_378_844_564_317_3),
        (ERF.reference, 0.75, 0.711_155_633_653_515_1),
        (ERF.reference, 3.5, 0.999_999_256_901_627_6),
        (TANH.reference, 0.001, 0.000_999_999_714_164_203_8),
        (TANH.reference, 0.75, 0.635_148_952_387_287_3),
        (TANH.reference, 8.5, 0.999_999_917_201_249),
        (RSQRT.reference, 3.0, 0.577_350_269_189_625_76),
        (gelu, -14.25, -3.194_003_881_588_436_7e-45),
        (gelu, -5.5, -1.044_425_935_623_824_5e-7),
        (gelu, -0.01, -0.004_960_106_326_878_326),
        (gelu, 1.5, 1.399_789_198_096_713),
        (gelu_derivative, -14.25, -4.551_240_017_521_502e-44),
        (gelu_derivative, -5.5, -5.733_472_398_739_924e-7),
        (gelu_derivative, -0.76, -0.003_515_731_897_901_468_7),
        (gelu_derivative, -0.751_791_6, -3.094_635_629_896_001e-8),
        (gelu_derivative, ZERO_OF_DERIVATIVE, -5.227_312_104_575_155e-9),
        (gelu_derivative, -0.751_791_5, 2.049_173_484_874_044_7e-8),
        (gelu_derivative, -0.7375, 0.006_245_950_186_735_726),
        (gelu_derivative, -0.735, 0.007_354_819_429_243_388_5),
        (gelu_derivative, 1.5, 1.127_469_192_229_979_5),
    ];
    for (reference, x, expected) in points {
        let found = reference(f64::from(x));
        assert!((found / expected - 1.0).abs() < 2e-13, "at {x:?}: {found:e}, by mpmath {expected:e}");
    }
}

#[test]
fn special_values_are_those_documented() {
    const INF: f32 = f32::INFINITY;
    const NAN: f32 = f32::NAN;
    const DENORMAL: f32 = f32::from_bits(1);
    let inputs = [0.0, -0.0, INF, -INF, NAN, DENORMAL, -DENORMAL, f32::MAX, f32::MIN];
    let expected: [(&Function, [f32; 9]); 7] = [
        (&EXP, [1.0, 1.0, INF, 0.0, NAN, 1.0, 1.0, INF, 0.0]),
        (&EXP_NONPOSITIVE, [1.0, 1.0, NAN, 0.0, NAN, 1.0, 1.0, NAN, 0.0]), // for inf and MAX: anything
        (&ERF, [0.0, -0.0, 1.0, -1.0, NAN, DENORMAL, -DENORMAL, 1.0, -1.0]),
        (&TANH, [0.0, -0.0, 1.0, -1.0, NAN, DENORMAL, -DENORMAL, 1.0, -1.0]),
        (&RSQRT, [INF, -INF, 0.0, NAN, NAN, 2.671_373_8e22, NAN, 5.421_011_5e-20, NAN]),
        (&GELU, [0.0, -0.0, INF, 0.0, NAN, DENORMAL, 0.0, f32::MAX, 0.0]),
        (&GELU_DERIVATIVE, [0.5, 0.5, 1.0, -0.0, NAN, 0.5, 0.5, 1.0, -0.0]),
    ];
    for (function, expected) in expected {
        for (x, expected) in inputs.into_iter().zip(expected) {
            let mut y = [x];
            (function.apply)(&mut y);
            let same = y[0].to_bits() == expected.to_bits() || y[0].is_nan() && expected.is_nan();
            let specified = x.is_nan() || (function.domain)(x);
            assert!(same || !specified, "{}({x:?}) is {:?}, not {expected:?}", function.name, y[0]);
        }
    }
}

#[test]
fn erf_and_tanh_are_odd_and_at_most_1() {
    for bits in (0..0x7f80_0000).step_by(997) {
        let x = f32::from_bits(bits);
        assert_eq!(math::erf(-x).to_bits(), (-math::erf(x)).to_bits(), "erf at {x:?}");
        assert_eq!(math::tanh(-x).to_bits(), (-math::tanh(x)).to_bits(), "tanh at {x:?}");
        assert!(math::erf(x) <= 1.0 && math::tanh(x) <= 1.0, "at {x:?}");
    }
}

#[test]
fn exp_erf_and_tanh_never_fall_between_distant_inputs() {
    for function in [EXP, ERF, TANH] {
        let ascending = (0..0xff00_0000_u32).step_by(4099).map(|i| {
            // The order of the floats: negative numbers first, the largest magnitude first.
            let bits = if i < 0x7f80_0000 { 0xff7f_ffff - i } else { i - 0x7f80_0000 };
            f32::from_bits(bits)
        });
        let mut y: Vec<f32> = ascending.collect();
        assert!(y.is_sorted());
        (function.apply)(&mut y);
        assert!(y.is_sorted(), "{} falls", function.name);
    }
}

#[test]
fn exp_nonpositive_has_the_bits_of_exp() {
    let nonpositive = (0x8000_0000..=0xff80_0000).step_by(997).map(f32::from_bits);
    let a_little_above = (0..=69_000).map(|i| i as f32 / 1000.0);
    for x in nonpositive.chain(a_little_above) {
        assert_eq!(math::exp_nonpositive(x).to_bits(), math::exp(x).to_bits(), "at {x:?}");
    }
}

#[test]
fn a_loop_over_a_slice_has_the_bits_of_single_calls() {
    let x: Vec<f32> = (-700..700).map(|i| i as f32 * 0.021).collect();
    for function in FUNCTIONS {
        let mut together = x.clone();
        (function.apply)(&mut together);
        for (x, together) in x.iter().zip(together) {
            let mut alone = [*x];
            (function.apply)(&mut alone);
            let same = alone[0].to_bits() == together.to_bits() || alone[0].is_nan() && together.is_nan();
            assert!(same, "{}({x:?}) is {:?} alone and {together:?} in a slice", function.name, alone[0]);
        }
    }
}

#[test]
#[ignore = "some ten minutes: prints the figures that the documentation of gpsimd::math quotes"]
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
