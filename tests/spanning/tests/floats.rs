//! What a tier computes with: every f32 operation, on all kinds of numbers, computes the bits that the host computes.

use gpsimd_emulator::{Engine, Mode, Tensor, TensorView};
use proptest::prelude::*;

/// The largest, smallest, most awkward numbers of each kind, of either sign.
fn notable() -> Vec<f32> {
    let bits = [
        0x0000_0000,
        0x0000_0001,
        0x0000_0002,
        0x0000_ffff,
        0x007f_ffff, // zero, denormal
        0x0080_0000,
        0x0080_0001,
        0x00ff_ffff, // the least normal
        0x3400_0000,
        0x3f7f_ffff,
        0x3f80_0000,
        0x3f80_0001,
        0x3f80_8000,
        0x3f81_8000,
        0x4049_0fdb, // about 1
        0x4b7f_ffff,
        0x4b80_0000,
        0x4eff_ffff,
        0x4f00_0000,
        0x4f80_0000, // about 2^24, 2^31, 2^32
        0x5f00_0000,
        0x7f00_0000,
        0x7f7f_7fff,
        0x7f7f_8000,
        0x7f7f_ffff, // the largest
        0x7f80_0000,
        0x7fc0_0000, // infinity, NaN
    ];
    bits.iter().flat_map(|bits| [*bits, bits | 0x8000_0000]).map(f32::from_bits).collect()
}

fn bits(x: f32) -> u32 {
    // Which of two NaNs an operation passes on is the processor's choice.
    if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }
}

/// The results of the op called `name`, and the host's.
fn verify(name: &str, operands: &[Vec<f32>; 3], expected: impl Fn(f32, f32, f32) -> f32) {
    let op = gpsimd_tests::library(&float_ops::OP_LIBRARY).op(name).expect("the op");
    let tensor = |x: &Vec<f32>| Tensor::from_vec(x.clone(), &[x.len()]).expect("as many elements");
    let tensors = operands.each_ref().map(tensor);
    let views: Vec<TensorView<'_>> = tensors.iter().map(Tensor::view).collect();
    let engine = Engine::builder().threads(2).mode(Mode::Fast).build().expect("an engine");
    let result = engine.call(&op, &views, &[]).expect("a good launch");
    let result = result.as_slice::<f32>().expect("f32");
    let [a, b, c] = operands;
    for (i, y) in result.iter().enumerate() {
        let (a, b, c) = (a[i], b[i], c[i]);
        let expected = expected(a, b, c);
        assert_eq!(bits(*y), bits(expected), "{name} of {a:e}, {b:e}, {c:e}: {y:e}, on the host {expected:e}");
    }
}

fn verify_all(operands: &[Vec<f32>; 3]) {
    verify("multiply_add", operands, f32::mul_add);
    verify("square_root", operands, |a, _, _| a.sqrt());
    verify("sum", operands, |a, b, _| a + b);
    verify("product", operands, |a, b, _| a * b);
    verify("quotient", operands, |a, b, _| a / b);
    verify("select", operands, |a, b, c| if a < b { c } else { a });
    verify("to_integer_and_back", operands, |a, b, _| a as i32 as f32 + b as u32 as f32);
    verify("through_bf16", operands, |a, _, _| half::bf16::from_f32(a).to_f32());
}

#[test]
fn every_operation_on_notable_numbers_has_the_bits_of_the_host() {
    let notable = notable();
    let count = notable.len();
    let of = |f: fn(usize, usize) -> usize| (0..count.pow(3)).map(|i| notable[f(i, count) % count]).collect();
    verify_all(&[of(|i, _| i), of(|i, count| i / count), of(|i, count| i / count / count)]);
}

/// Products that end half way between two numbers, where an addend too small to see decides: rounding twice shows here.
#[test]
fn a_fused_multiply_add_rounds_once() {
    let mut operands = [const { Vec::new() }; 3];
    for step in 0..4096_u32 {
        let a = f32::from_bits(0x3f80_0001 + step * 0x7f3);
        // Odd multiples of 2^-24 above 1 times 1 + 2^-12...: low halves of every pattern.
        let b = f32::from_bits(0x3f80_0000 | (step << 11));
        for c in [2.0_f32.powi(-60), -2.0_f32.powi(-60), f32::from_bits(1), -a * b, 2.0_f32.powi(-24), -1.0] {
            operands.iter_mut().zip([a, b, c]).for_each(|(operand, value)| operand.push(value));
        }
    }
    verify("multiply_add", &operands, f32::mul_add);
    let twice = operands[0].iter().zip(&operands[1]).zip(&operands[2]).filter(|((a, b), c)| {
        let once = a.mul_add(**b, **c);
        once.to_bits() != (**a * **b + **c).to_bits()
    });
    assert!(twice.count() > 1000, "the cases do not tell a fused multiply-add from two roundings");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: gpsimd_tests::cases(64), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_operation_on_any_bits_has_the_bits_of_the_host(
        operands in prop::collection::vec(any::<[u32; 3]>(), 1..4096),
        is_near in any::<bool>(),
    ) {
        // Of bits at random the exponents lie far apart; near each other they cancel.
        let number = |bits: u32| f32::from_bits(if is_near { bits & 0x81ff_ffff | 0x3e00_0000 } else { bits });
        verify_all(&[0, 1, 2].map(|i| operands.iter().map(|bits| number(bits[i])).collect()));
    }
}
