//! Softmax with dropout against float64, with the elements that the op `dropout` drops, whose numbers `index-ops` compares
//! with Philox as published; on the tier under test, with the bits of every engine.

use gpsimd_testing::{Ops, Scalar, Tensor, assert_within, bf16, digest, f16, numbers, values};

/// Unit roundoff of f32.
const U: f64 = 1.0 / (1 << 24) as f64;
const SCALE: f32 = 0.25;

/// Scores, and mask. A default pool holds 3072 f32, and there are 8 cores; random numbers come in groups of 64 elements.
const SHAPES: [([usize; 4], [usize; 4]); 7] = [
    ([1, 1, 1, 1], [1, 1, 1, 1]),
    ([2, 1, 3, 5], [2, 1, 1, 5]),
    ([1, 2, 9, 64], [1, 1, 1, 64]),
    ([2, 2, 5, 100], [2, 1, 5, 100]),
    ([1, 3, 17, 128], [1, 3, 17, 128]),
    ([1, 1, 3, 3001], [1, 1, 1, 3001]),
    ([0, 2, 3, 7], [1, 1, 1, 7]),
];

fn ops() -> Ops {
    Ops::of(&training_ops::OP_LIBRARY)
}

fn tensor(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::from_vec(numbers(seed, shape.iter().product()), shape).expect("as many numbers as the shape has")
}

fn seed() -> Tensor {
    Tensor::from_vec(vec![0x1234_5678, -7], &[2]).expect("two halves")
}

fn scalars(p: f32) -> [Scalar; 2] {
    [SCALE.into(), p.into()]
}

/// What dropout multiplies each element by: 0, or 1 / (1 - p).
fn factors(shape: &[usize], p: f32) -> Vec<f64> {
    let ones = Tensor::from_vec(vec![1.0_f32; shape.iter().product()], shape).expect("ones");
    values(&ops().run("dropout", &[&ones, &seed()], &[p.into()]))
}

fn forward(scores: &Tensor, mask: &Tensor, p: f32) -> [Tensor; 3] {
    ops().run_everywhere("softmax_dropout_forward", &[scores, mask, &seed()], &scalars(p))
}

/// The mask's element for element `i` of the scores.
fn masked(scores: &[usize; 4], mask: &[usize; 4], mut i: usize) -> usize {
    let (mut stride, mut found) = (1, 0);
    for (size, own) in scores.iter().zip(mask).rev() {
        if *own != 1 {
            found += i % size * stride;
            stride *= own;
        }
        i /= size;
    }
    found
}

/// The probabilities before dropout, in float64.
fn softmax(shape: [usize; 4], of_mask: [usize; 4], scores: &Tensor, mask: &Tensor) -> Vec<f64> {
    let (scores, mask) = (values(scores), values(mask));
    let logits: Vec<f64> =
        scores.iter().enumerate().map(|(i, s)| f64::from(SCALE) * s + mask[masked(&shape, &of_mask, i)]).collect();
    let rows = logits.chunks(shape[3].max(1));
    rows.flat_map(|row| {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|x| (x - max).exp()).sum();
        row.iter().map(move |x| (x - max).exp() / sum)
    })
    .collect()
}

/// Of a probability: logits below 8 in magnitude are rounded, their difference too, then exp, a sum, a quotient.
fn relative(columns: usize) -> f64 {
    U * (40.0 + columns as f64 / 16.0)
}

#[test]
fn what_is_kept_is_the_softmax_of_float64_over_the_probability_to_keep() {
    for (shape, of_mask) in SHAPES {
        for p in [0.0, 0.1, 0.5, 1.0] {
            let (scores, mask) = (tensor(1, &shape), tensor(2, &of_mask));
            let [y, ..] = forward(&scores, &mask, p);
            let expected = softmax(shape, of_mask, &scores, &mask).into_iter().zip(factors(&shape, p));
            assert_within(&y, expected.map(|(p, factor)| (p * factor, p * factor * relative(shape[3]))));
        }
    }
}

#[test]
fn gradients_are_those_of_float64() {
    for (shape, of_mask) in SHAPES {
        for (p, factor) in [(0.0, SCALE), (0.1, SCALE), (0.5, 1.0), (1.0, 1.0)] {
            let (scores, mask, dy) = (tensor(1, &shape), tensor(2, &of_mask), tensor(3, &shape));
            let [_, max, sum] = forward(&scores, &mask, p);
            let operands = [&dy, &scores, &mask, &seed(), &max, &sum];
            let [dx] =
                ops().run_everywhere("softmax_dropout_backward", &operands, &[SCALE.into(), p.into(), factor.into()]);
            let (probabilities, kept) = (softmax(shape, of_mask, &scores, &mask), factors(&shape, p));
            let dp: Vec<f64> = values(&dy).iter().zip(kept).map(|(dy, kept)| dy * kept).collect();
            let expected = (0..dp.len()).map(|i| {
                let row = i / shape[3] * shape[3]..(i / shape[3] + 1) * shape[3];
                let terms = || row.clone().map(|k| dp[k] * probabilities[k]);
                let (dot, all) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
                let exact = f64::from(factor) * probabilities[i] * (dp[i] - dot);
                let error = f64::from(factor) * probabilities[i] * (dp[i].abs() + 2.0 * all) * 2.0 * relative(shape[3]);
                (exact, error)
            });
            assert_within(&dx, expected);
        }
    }
}

#[test]
fn without_dropout_the_bits_are_those_of_masked_softmax() {
    let (scores, mask) = (tensor(1, &[2, 3, 5, 100]), tensor(2, &[2, 1, 1, 100]));
    let plain = Ops::native(&bert_ops::OP_LIBRARY);
    let expected = plain.run("masked_softmax_forward", &[&scores, &mask], &[SCALE.into()]);
    assert_eq!(digest(&forward(&scores, &mask, 0.0)[0]), digest(&expected));
}

#[test]
fn other_floats_are_the_f32_result_rounded() {
    macro_rules! check {
        ($T:ident) => {
            let narrow = |tensor: &Tensor| {
                let data = tensor.as_slice::<f32>().unwrap().iter().map(|x| $T::from_f32(*x)).collect();
                Tensor::from_vec::<$T>(data, tensor.ty().shape()).unwrap()
            };
            let wide = |tensor: &Tensor| {
                let data = tensor.as_slice::<$T>().unwrap().iter().map(|x| x.to_f32()).collect();
                Tensor::from_vec::<f32>(data, tensor.ty().shape()).unwrap()
            };
            let [scores, mask] = [narrow(&tensor(1, &[1, 2, 7, 33])), narrow(&tensor(2, &[1, 1, 1, 33]))];
            let ([y, max, sum], wide) = (forward(&scores, &mask, 0.3), forward(&wide(&scores), &wide(&mask), 0.3));
            assert_eq!([&y, &max, &sum].map(digest), [&narrow(&wide[0]), &wide[1], &wide[2]].map(digest));
        };
    }
    check!(bf16);
    check!(f16);
}

#[test]
fn what_is_no_probability_is_refused() {
    let (scores, mask) = (tensor(1, &[1, 1, 2, 3]), tensor(2, &[1, 1, 1, 3]));
    for p in [-0.1, 1.5, f32::NAN] {
        let error = ops().try_run("softmax_dropout_forward", &[&scores, &mask, &seed()], &scalars(p)).unwrap_err();
        assert!(error.to_string().contains("`p` is a probability, from 0 to 1"), "{error}");
    }
}

/// Native library, op package and Xtensa program run this test, and have these bits.
#[test]
fn the_bits_are_those_of_every_tier() {
    let (shape, of_mask) = ([2, 3, 5, 111], [2, 1, 1, 111]);
    let (scores, mask, dy) = (tensor(1, &shape), tensor(2, &of_mask), tensor(3, &shape));
    let [y, max, sum] = forward(&scores, &mask, 0.1);
    let operands = [&dy, &scores, &mask, &seed(), &max, &sum];
    let [dx] = ops().run_all("softmax_dropout_backward", &operands, &[SCALE.into(), 0.1_f32.into(), SCALE.into()]);
    assert_eq!(
        [y, max, sum, dx].each_ref().map(digest),
        [0xa818_0f9e_e211_04d0, 0x505d_132f_d6fc_883e, 0xf087_ba34_552f_4fef, 0xe206_319f_3a45_1d98]
    );
}
