//! How far `gpsimd::math` is from the true values.
//!
//! The ordinary tests look at some million inputs of every magnitude and at every input around the points where the
//! formulas change: seconds. The figures in the documentation of the functions come from all 2^32 inputs, on every
//! processor of the host, in some 20 minutes on two (`cargo xtask test rust --slow` runs this too):
//!
//! ```text
//! RUSTFLAGS="-C target-cpu=native" cargo test --release -p gpsimd --test math_accuracy -- --ignored --nocapture
//! ```
//!
//! `FUNCTION=gelu` in the environment restricts that to one function.
//!
//! The references are f64: `libm`'s functions in forms that cancel nothing, held against values from mpmath below.

mod functions;
mod measure;
mod power;

use std::f32::consts::PI;

use gpsimd::math;

use functions::*;
use measure::{Function, Worst};

macro_rules! within_bound {
    ($($test:ident: $function:ident,)*) => {$(
        #[test]
        fn $test() {
            $function.assert_within_bound();
        }
    )*};
}

within_bound! {
    exp_is_within_its_bound: EXP,
    exp_nonpositive_is_within_its_bound: EXP_NONPOSITIVE,
    exp2_is_within_its_bound: EXP2,
    expm1_is_within_its_bound: EXPM1,
    log_is_within_its_bound: LOG,
    log2_is_within_its_bound: LOG2,
    log1p_is_within_its_bound: LOG1P,
    sigmoid_is_within_its_bound: SIGMOID,
    sin_is_within_its_bound: SIN,
    cos_is_within_its_bound: COS,
    erf_is_within_its_bound: ERF,
    tanh_is_within_its_bound: TANH,
    rsqrt_is_within_its_bound: RSQRT,
    gelu_is_within_its_bound: GELU,
    gelu_derivative_is_within_its_bound: GELU_DERIVATIVE,
}

#[test]
fn the_references_agree_with_mpmath() {
    type Point = (fn(f64) -> f64, f32, f64);
    let points: [Point; 46] = [
        (EXP.reference, -103.5, 1.123_365_606_080_569_1e-45),
        (EXP.reference, -1.5, 0.223_130_160_148_429_82),
        (EXP.reference, 88.5, 2.723_087_825_068_111_7e38),
        (LOG.reference, 1.001, 0.000_999_547_016_440_589_259),
        (LOG.reference, 0.6, -0.510_825_584_029_561_622),
        (LOG.reference, 1e-40, -92.103_409_109_664_876_9),
        (LOG.reference, 3e38, 88.596_845_824_274_430_9),
        (LOG2.reference, 0.999, -0.001_443_398_276_949_825),
        (LOG2.reference, 3.0, 1.584_962_500_721_156_18),
        (LOG1P.reference, -0.999, -6.907_768_153_668_286_95),
        (LOG1P.reference, 1e-3, 0.000_999_500_380_533_534_47),
        (LOG1P.reference, 5.0, 1.791_759_469_228_055),
        (EXP2.reference, -140.25, 6.033_135_899_398_522_21e-43),
        (EXP2.reference, 0.3, 1.231_144_423_517_811_27),
        (EXPM1.reference, -5.5, -0.995_913_228_561_535_933),
        (EXPM1.reference, 1e-3, 0.001_000_500_214_253_314_18),
        (EXPM1.reference, 1.5, 3.481_689_070_338_064_82),
        (SIGMOID.reference, -103.5, 1.123_365_606_080_569_08e-45),
        (SIGMOID.reference, -1.5, 0.182_425_523_806_356_34),
        (SIGMOID.reference, 3.5, 0.970_687_769_248_643_681),
        (SIN.reference, 0.5, 0.479_425_538_604_203),
        (SIN.reference, PI, -8.742_278_000_372_474_53e-8),
        (SIN.reference, 1e22, -0.734_081_535_296_101_526),
        (SIN.reference, 3.402_823_5e38, -0.521_876_523_333_658_541),
        (COS.reference, 1.5, 0.070_737_201_667_702_910_1),
        (COS.reference, -1e22, 0.679_061_337_095_050_972),
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
    let expected: [(&Function, [f32; 9]); 15] = [
        (&EXP, [1.0, 1.0, INF, 0.0, NAN, 1.0, 1.0, INF, 0.0]),
        (&EXP_NONPOSITIVE, [1.0, 1.0, NAN, 0.0, NAN, 1.0, 1.0, NAN, 0.0]), // for inf and MAX: anything
        (&EXP2, [1.0, 1.0, INF, 0.0, NAN, 1.0, 1.0, INF, 0.0]),
        (&EXPM1, [0.0, -0.0, INF, -1.0, NAN, DENORMAL, -DENORMAL, INF, -1.0]),
        (&LOG, [-INF, -INF, INF, NAN, NAN, -103.278_93, NAN, 88.722_84, NAN]),
        (&LOG2, [-INF, -INF, INF, NAN, NAN, -149.0, NAN, 128.0, NAN]),
        (&LOG1P, [0.0, -0.0, INF, NAN, NAN, DENORMAL, -DENORMAL, 88.722_84, NAN]),
        (&SIGMOID, [0.5, 0.5, 1.0, 0.0, NAN, 0.5, 0.5, 1.0, 0.0]),
        (&SIN, [0.0, -0.0, NAN, NAN, NAN, DENORMAL, -DENORMAL, -0.521_876_5, 0.521_876_5]),
        (&COS, [1.0, 1.0, NAN, NAN, NAN, 1.0, 1.0, 0.853_021, 0.853_021]),
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
fn erf_tanh_and_sin_are_odd_cos_is_even_and_all_are_at_most_1() {
    for bits in (0..0x7f80_0000).step_by(997) {
        let x = f32::from_bits(bits);
        for (name, f) in [("erf", math::erf as fn(f32) -> f32), ("tanh", math::tanh), ("sin", math::sin)] {
            assert_eq!(f(-x).to_bits(), (-f(x)).to_bits(), "{name} at {x:?}");
            assert!(f(x).abs() <= 1.0, "{name} at {x:?}");
        }
        assert_eq!(math::cos(-x).to_bits(), math::cos(x).to_bits(), "cos at {x:?}");
        assert!(math::cos(x).abs() <= 1.0, "cos at {x:?}");
    }
}

#[test]
fn powers_of_two_and_their_logarithms_are_exact() {
    for n in -149..=127 {
        let power = 2.0_f64.powi(n) as f32;
        assert_eq!(math::exp2(n as f32), power);
        assert_eq!(math::log2(power), n as f32);
        assert_eq!(math::pow(2.0, n as f32), power);
    }
}

#[test]
fn increasing_functions_never_fall_between_distant_inputs() {
    for function in [EXP, EXP2, EXPM1, SIGMOID, ERF, TANH] {
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
#[ignore = "some 20 minutes: prints the figures that the documentation of gpsimd::math quotes"]
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
