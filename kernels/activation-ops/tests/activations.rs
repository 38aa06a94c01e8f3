//! GELU in its tanh form and `SiLU` against float64, on the tier under test, with the bits of every engine.
//!
//! Formulas: Hendrycks, Gimpel, Gaussian Error Linear Units, 2016.

use gpsimd_testing::{Ops, Tensor, assert_within, digest, f16, numbers, values};

/// Unit roundoff of f32.
const U: f64 = 1.0 / (1 << 24) as f64;
/// The smallest f32: what has become denormal has lost digits.
const TINY: f64 = 1.5e-45;

fn ops() -> Ops {
    Ops::of(&activation_ops::OP_LIBRARY)
}

/// y = u sigmoid(w) and its derivative, each with its bound; w and dw/du are given. A denormal sigmoid is rounded three times,
/// and what it lost, the factors make larger.
fn expected(u: f64, (w, slope): (f64, f64), dy: f64) -> [(f64, f64); 2] {
    let (s, rest) = (1.0 / (1.0 + (-w).exp()), 1.0 / (1.0 + w.exp()));
    let size = (dy * s).abs() * (1.0 + u.abs() * rest * slope);
    [
        (u * s, 6.0 * U * (u * s).abs() + TINY * (1.0 + u.abs())),
        (dy * s * (1.0 + u * rest * slope), 10.0 * U * size + TINY * (1.0 + 2.0 * dy.abs() * (1.0 + u.abs() * slope))),
    ]
}

fn of_gelu(u: f64) -> (f64, f64) {
    let factor = (8.0 / std::f64::consts::PI).sqrt();
    (factor * (u + 0.044_715 * u * u * u), factor * (1.0 + 3.0 * 0.044_715 * u * u))
}

fn verify(x: &Tensor, dy: &Tensor, bias: &Tensor) {
    let columns = values(bias).len();
    let [gelu] = ops().run_everywhere("bias_gelu_tanh_forward", &[x, bias], &[]);
    let [dgelu] = ops().run_everywhere("bias_gelu_tanh_backward", &[dy, x, bias], &[]);
    let [silu] = ops().run_everywhere("silu_forward", &[x], &[]);
    let [dsilu] = ops().run_everywhere("silu_backward", &[dy, x], &[]);
    let [x, dy, bias] = [x, dy, bias].map(values);
    let all: Vec<_> = (0..x.len())
        .map(|i| {
            // As the op adds: in f32.
            let u = f64::from(x[i] as f32 + bias[i % columns] as f32);
            (expected(u, of_gelu(u), dy[i]), expected(x[i], (x[i], 1.0), dy[i]))
        })
        .collect();
    assert_within(&gelu, all.iter().map(|(gelu, _)| gelu[0]));
    assert_within(&dgelu, all.iter().map(|(gelu, _)| gelu[1]));
    assert_within(&silu, all.iter().map(|(_, silu)| silu[0]));
    assert_within(&dsilu, all.iter().map(|(_, silu)| silu[1]));
}

fn sample(seed: u64, shape: &[usize], scale: f32) -> Tensor {
    let data = numbers(seed, shape.iter().product()).iter().map(|x| x * scale).collect::<Vec<f32>>();
    Tensor::from_vec(data, shape).unwrap()
}

#[test]
fn every_f16_is_that_of_float64_rounded() {
    let x: Vec<_> = (0..=u16::MAX).step_by(7).map(f16::from_bits).filter(|x| x.is_finite()).collect();
    let len = x.len();
    let dy = numbers(1, len).iter().map(|x| f16::from_f32(*x)).collect::<Vec<_>>();
    let bias = vec![f16::from_f32(0.0); len];
    let [x, dy, bias] = [x, dy, bias].map(|data| Tensor::from_vec(data, &[len]).unwrap());
    verify(&x, &dy, &bias);
}

#[test]
fn f32_of_any_sizes_is_that_of_float64_to_its_bounds() {
    for (shape, scale) in [
        (vec![1], 1.0),
        (vec![3, 667], 1e-3),
        (vec![3, 667], 4.0),
        (vec![2, 3, 5, 7], 10.0),
        (vec![2, 5000], 2.0),
        (vec![5, 1], 1.0),
        (vec![3, 0], 1.0),
        (vec![0, 3], 1.0),
    ] {
        let columns = shape[shape.len() - 1];
        verify(&sample(1, &shape, scale), &sample(2, &shape, 1.0), &sample(3, &[columns], scale));
    }
}

#[test]
fn limits_at_infinity() {
    let tensor = |data: [f32; 4]| Tensor::from_vec(data.to_vec(), &[4]).unwrap();
    let (x, ones) = (tensor([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0]), tensor([1.0; 4]));
    let zeros = tensor([0.0; 4]);
    let [gelu] = ops().run_everywhere("bias_gelu_tanh_forward", &[&x, &zeros], &[]);
    assert_within(&gelu, [f64::NAN, f64::INFINITY, 0.0, 0.0].map(|y| (y, 0.0)));
    let [slope] = ops().run_everywhere("bias_gelu_tanh_backward", &[&ones, &x, &zeros], &[]);
    assert_within(&slope, [f64::NAN, 1.0, 0.0, 0.5].map(|y| (y, 0.0)));
    let [silu] = ops().run_everywhere("silu_forward", &[&x], &[]);
    // -inf times 0.
    assert_within(&silu, [f64::NAN, f64::INFINITY, f64::NAN, 0.0].map(|y| (y, 0.0)));
}

/// Native library, op package and Xtensa program run this test, and have these bits.
#[test]
fn the_bits_are_those_of_every_tier() {
    let [x, dy, bias] = [sample(1, &[7, 143], 4.0), sample(2, &[7, 143], 1.0), sample(3, &[143], 4.0)];
    let [gelu] = ops().run_all("bias_gelu_tanh_forward", &[&x, &bias], &[]);
    let [dgelu] = ops().run_all("bias_gelu_tanh_backward", &[&dy, &x, &bias], &[]);
    let [silu] = ops().run_all("silu_forward", &[&x], &[]);
    let [dsilu] = ops().run_all("silu_backward", &[&dy, &x], &[]);
    assert_eq!(
        [gelu, dgelu, silu, dsilu].each_ref().map(digest),
        [0x9c13_f3e9_cfff_b93c, 0x8921_e256_a1fa_cee6, 0x2b22_d3ba_139a_5bc3, 0x9e27_0027_63c4_54b2]
    );
}
