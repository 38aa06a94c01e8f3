//! `gpsimd::math` and `gpsimd::random` on a tier: the bits that the host computes.

use gpsimd::math;
use gpsimd::random::Philox;
use gpsimd_emulator::{Engine, Mode, Tensor, TensorView};

/// Numbers of every magnitude and sign, and of magnitudes from 2^-12 to 2^8 more.
fn numbers() -> Vec<f32> {
    let step = 1_000_003 * (100 / gpsimd_tests::cases(100) as usize);
    let everywhere = (0..=u32::MAX).step_by(step);
    let usual = (0x3980_0000..0x4380_0000_u32).step_by(step / 64).flat_map(|bits| [bits, bits | 0x8000_0000]);
    everywhere.chain(usual).map(f32::from_bits).collect()
}

fn verify(name: &str, operands: &[&[f32]], expected: &[f32]) {
    let op = gpsimd_tests::library(&math_ops::OP_LIBRARY).op(name).expect("the op");
    let tensor = |x: &&[f32]| Tensor::from_vec(x.to_vec(), &[x.len()]).expect("as many elements");
    let tensors: Vec<Tensor> = operands.iter().map(tensor).collect();
    let views: Vec<TensorView<'_>> = tensors.iter().map(Tensor::view).collect();
    let engine = Engine::builder().threads(2).mode(Mode::Fast).build().expect("an engine");
    let result = engine.call(&op, &views, &[]).expect("a good launch");
    let result = result.as_slice::<f32>().expect("f32");
    for (i, (y, expected)) in result.iter().zip(expected).enumerate() {
        let same = y.to_bits() == expected.to_bits() || y.is_nan() && expected.is_nan();
        let operands: Vec<f32> = operands.iter().map(|operand| operand[i]).collect();
        assert!(same, "{name} of {operands:?} is {y:e}, on the host {expected:e}");
    }
}

/// Name of an op, and what it computes.
type Function = (&'static str, fn(f32) -> f32);

#[test]
fn functions_have_the_bits_of_the_host() {
    let functions: [Function; 8] = [
        ("log", math::log),
        ("log2", math::log2),
        ("log1p", math::log1p),
        ("exp2", math::exp2),
        ("expm1", math::expm1),
        ("sigmoid", math::sigmoid),
        ("sin", math::sin),
        ("cos", math::cos),
    ];
    let x = numbers();
    for (name, function) in functions {
        let expected: Vec<f32> = x.iter().map(|x| function(*x)).collect();
        verify(name, &[&x], &expected);
    }
}

#[test]
fn powers_have_the_bits_of_the_host() {
    let x = numbers();
    let y: Vec<f32> = (0..x.len()).map(|i| x[i * 7919 % x.len()]).collect();
    let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| math::pow(*x, *y)).collect();
    verify("pow", &[&x, &y], &expected);
}

#[test]
fn random_numbers_have_the_bits_of_the_host_wherever_cores_and_tiles_begin() {
    for count in [1, 100, 4096 + 16, 1500 * gpsimd_tests::cases(100) as usize] {
        let mut expected = vec![0.0; count];
        Philox::new(1).fill_normal(0, &mut expected);
        for z in &mut expected {
            *z += 1.0;
        }
        verify("add_normal", &[&vec![1.0; count]], &expected);
    }
}
