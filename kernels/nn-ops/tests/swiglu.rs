//! `SwiGLU` and its gradients against float64: every f16, and a sample of f32, on the tier under test, with the bits of every
//! engine. Formula: Shazeer, GLU Variants Improve Transformer, 2020, equation 6.

use gpsimd_testing::{Ops, Tensor, assert_within, bf16, cases, digest, f16, numbers, values};

/// Unit roundoff of f32.
const U: f64 = 1.0 / (1 << 24) as f64;
/// The smallest f32: what has become denormal has lost digits.
const TINY: f64 = 1.5e-45;

fn ops() -> Ops {
    Ops::of(&nn_ops::OP_LIBRARY)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn forward(gate: f64, up: f64) -> (f64, f64) {
    let y = gate * sigmoid(gate) * up;
    // A sigmoid within 1.48 ulp, two products; what it loses below the smallest f32, the factors make larger.
    (y, U * 6.0 * y.abs() + TINY * (1.0 + (gate * up).abs() + up.abs()))
}

fn backward(dy: f64, gate: f64, up: f64) -> [(f64, f64); 2] {
    let s = sigmoid(gate);
    let rest = sigmoid(-gate);
    let (dgate, dup) = (dy * up * s * (1.0 + gate * rest), dy * gate * s);
    let size = (dy * up * s).abs() * (1.0 + (gate * rest).abs());
    let tiny = |factors: f64| TINY * (1.0 + factors.abs());
    [
        (dgate, U * 10.0 * size + tiny(dy * up * (1.0 + gate.abs())) + tiny(gate)),
        (dup, U * 6.0 * dup.abs() + tiny(dy * gate) + tiny(dy)),
    ]
}

/// Every f16 but NaN and infinity; with fewer cases, a part of them that has all exponents.
fn every_f16() -> Vec<f16> {
    let step = if cases(100) < 100 { 37 } else { 1 };
    (0..=u16::MAX).step_by(step).map(f16::from_bits).filter(|x| x.is_finite()).collect()
}

#[test]
fn every_f16_gate_is_that_of_float64_rounded() {
    let gate = every_f16();
    let len = gate.len();
    let factor = |seed| numbers(seed, len).iter().map(|x| f16::from_f32(*x)).collect::<Vec<_>>();
    let [gate, up, dy] = [gate, factor(1), factor(2)].map(|data| Tensor::from_vec(data, &[len]).unwrap());
    let [y] = ops().run_everywhere("swiglu_forward", &[&gate, &up], &[]);
    let [dgate, dup] = ops().run_everywhere("swiglu_backward", &[&dy, &gate, &up], &[]);
    let [gates, ups, dys] = [&gate, &up, &dy].map(values);
    // Half a unit of f16 and what f32 adds.
    assert_within(&y, gates.iter().zip(&ups).map(|(gate, up)| forward(*gate, *up)));
    let both: Vec<_> = (0..len).map(|i| backward(dys[i], gates[i], ups[i])).collect();
    assert_within(&dgate, both.iter().map(|[dgate, _]| *dgate));
    assert_within(&dup, both.iter().map(|[_, dup]| *dup));
}

#[test]
fn f32_and_bf16_are_those_of_float64_to_their_bounds() {
    for scale in [1e-3, 1.0, 12.0, 100.0] {
        let sample = |seed, scale: f32| numbers(seed, 2001).iter().map(|x| x * scale).collect::<Vec<f32>>();
        let data = [sample(1, scale), sample(2, 3.0), sample(3, 1.0)];
        let wide = data.clone().map(|data| Tensor::from_vec(data, &[3, 667]).unwrap());
        let narrow = data.map(|data| {
            Tensor::from_vec(data.iter().map(|x| bf16::from_f32(*x)).collect::<Vec<_>>(), &[3, 667]).unwrap()
        });
        for [gate, up, dy] in [wide, narrow] {
            let [y] = ops().run_everywhere("swiglu_forward", &[&gate, &up], &[]);
            let [dgate, dup] = ops().run_everywhere("swiglu_backward", &[&dy, &gate, &up], &[]);
            let [gates, ups, dys] = [&gate, &up, &dy].map(values);
            assert_within(&y, gates.iter().zip(&ups).map(|(gate, up)| forward(*gate, *up)));
            let both: Vec<_> = (0..gates.len()).map(|i| backward(dys[i], gates[i], ups[i])).collect();
            assert_within(&dgate, both.iter().map(|[dgate, _]| *dgate));
            assert_within(&dup, both.iter().map(|[_, dup]| *dup));
        }
    }
}

#[test]
fn specials_are_those_of_the_formula() {
    let tensor = |data: Vec<f16>| Tensor::from_vec(data, &[4]).unwrap();
    let gate = tensor(vec![f16::NAN, f16::INFINITY, f16::NEG_INFINITY, f16::from_f32(-0.0)]);
    let up = tensor(vec![f16::from_f32(1.0); 4]);
    let [y] = ops().run_everywhere("swiglu_forward", &[&gate, &up], &[]);
    // -inf times 0.
    let expected = [f64::NAN, f64::INFINITY, f64::NAN, 0.0];
    assert_within(&y, expected.map(|y| (y, 0.0)));
}

/// Native library, op package and Xtensa program run this test, and have these bits.
#[test]
fn the_bits_are_those_of_every_tier() {
    let sample = |seed| {
        let data = numbers(seed, 1001).iter().map(|x| f16::from_f32(8.0 * x)).collect::<Vec<_>>();
        Tensor::from_vec(data, &[7, 143]).unwrap()
    };
    let [gate, up, dy] = [1, 2, 3].map(sample);
    let [y] = ops().run_all("swiglu_forward", &[&gate, &up], &[]);
    let [dgate, dup] = ops().run_all("swiglu_backward", &[&dy, &gate, &up], &[]);
    assert_eq!(
        [y, dgate, dup].each_ref().map(digest),
        [0xe340_fd67_df63_ffe6, 0x6d02_75b2_0924_fb24, 0x1d54_e118_5bd2_14c6]
    );
}
