//! Cross-entropy and its gradient against float64, on the tier under test, with the bits of every engine.
//!
//! Label smoothing: Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016, section 7, with the
//! uniform distribution over the classes.

use gpsimd_testing::{Ops, Scalar, Tensor, assert_within, bf16, digest, f16, numbers, values};

/// Unit roundoff of f32.
const U: f64 = 1.0 / (1 << 24) as f64;
const IGNORE: i32 = -100;

/// Rows and classes. A default pool holds 3072 f32.
const SHAPES: [(usize, usize); 7] = [(1, 1), (3, 1), (5, 2), (20, 17), (9, 1000), (70, 33), (3, 9000)];

fn ops() -> Ops {
    Ops::of(&bert_ops::OP_LIBRARY)
}

fn logits(rows: usize, classes: usize, scale: f32) -> Tensor {
    let data = numbers(1, rows * classes).iter().map(|x| x * scale).collect();
    Tensor::from_vec::<f32>(data, &[rows, classes]).expect("as many numbers as the shape has")
}

/// Classes, the first and the last among them, and in the third row none.
fn labels(rows: usize, classes: usize) -> Tensor {
    let label = |row: usize| match row {
        0 => classes as i32 - 1,
        2 => IGNORE,
        _ => ((row - 1) * 7919 % classes) as i32,
    };
    Tensor::from_vec((0..rows).map(label).collect::<Vec<i32>>(), &[rows]).expect("one for each row")
}

fn scalars(label_smoothing: f32) -> [Scalar; 2] {
    [IGNORE.into(), label_smoothing.into()]
}

fn forward(logits: &Tensor, labels: &Tensor, label_smoothing: f32) -> [Tensor; 2] {
    ops().run_everywhere("cross_entropy_forward", &[logits, labels], &scalars(label_smoothing))
}

fn backward(dloss: &Tensor, logits: &Tensor, labels: &Tensor, lse: &Tensor, label_smoothing: f32) -> Tensor {
    let operands = [dloss, logits, labels, lse];
    let [dlogits] = ops().run_everywhere("cross_entropy_backward", &operands, &scalars(label_smoothing));
    dlogits
}

fn log_sum_exp(row: &[f64]) -> f64 {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + row.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}

/// What a row of the loss is, and how large what is added up to it.
fn loss(row: &[f64], label: i32, label_smoothing: f64) -> (f64, f64) {
    if label == IGNORE {
        return (0.0, 0.0);
    }
    let (lse, own) = (log_sum_exp(row), row[label as usize]);
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let size = row.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
    ((1.0 - label_smoothing) * (lse - own) + label_smoothing * (lse - mean), size)
}

/// Relative error of a sum of positive terms, in units roundoff: 16 lanes, and an exponential within 1.02 ulp.
fn roundings(classes: usize) -> f64 {
    classes as f64 / 16.0 + 8.0
}

#[test]
fn losses_are_those_of_float64_to_the_bounds_of_their_sums() {
    for (rows, classes) in SHAPES {
        for (scale, label_smoothing) in [(1.0, 0.0), (30.0, 0.1), (30.0, 1.0), (1e4, 0.25)] {
            let (logits, labels) = (logits(rows, classes, scale), labels(rows, classes));
            let [losses, lse] = forward(&logits, &labels, label_smoothing);
            let logits = values(&logits);
            let size = f64::from(scale);
            // The logarithm's argument is off by its roundings, relatively; the largest logit is subtracted and added again,
            // in whose place an exponential moves by as much as that rounds.
            let of_lse = U * (roundings(classes) + 4.0 + 4.0 * size);
            assert_within(&lse, logits.chunks_exact(classes).map(|row| (log_sum_exp(row), of_lse)));
            let labels = labels.as_slice::<i32>().unwrap();
            let exact = logits.chunks_exact(classes).zip(labels).map(|(row, label)| {
                let (loss, size) = loss(row, *label, label_smoothing.into());
                (loss, of_lse + U * (4.0 + roundings(classes)) * size)
            });
            assert_within(&losses, exact);
        }
    }
}

#[test]
fn gradients_are_those_of_float64() {
    for (rows, classes) in SHAPES {
        for (scale, label_smoothing) in [(1.0, 0.0), (30.0, 0.1), (3.0, 1.0)] {
            let (logits, labels) = (logits(rows, classes, scale), labels(rows, classes));
            let [_, lse] = forward(&logits, &labels, label_smoothing);
            let dloss = Tensor::from_vec(numbers(2, rows), &[rows]).expect("one for each row");
            let dlogits = backward(&dloss, &logits, &labels, &lse, label_smoothing);
            let [logits, lse, dloss] = [&logits, &lse, &dloss].map(values);
            let (labels, e) = (labels.as_slice::<i32>().unwrap(), f64::from(label_smoothing));
            let exact = (0..logits.len()).map(|i| {
                let row = i / classes;
                if labels[row] == IGNORE {
                    return (0.0, 0.0);
                }
                let p = (logits[i] - lse[row]).exp();
                let target = e / classes as f64 + if labels[row] as usize == i % classes { 1.0 - e } else { 0.0 };
                // An exponential is off by 1.02 ulp and by how its argument was rounded.
                let error = p * (3.0 + 2.0 * (logits[i] - lse[row]).abs()) + 4.0 * target + (p - target).abs();
                (dloss[row] * (p - target), U * dloss[row].abs() * error)
            });
            assert_within(&dlogits, exact);
        }
    }
}

#[test]
fn extreme_logits_neither_overflow_nor_cancel() {
    let max = f32::MAX;
    let rows = [[max, -max, 0.0], [-max, -max, -max], [1e30, 1e30, 1e30], [-1e-40, 0.0, 1e-40], [0.0, -200.0, -200.0]];
    let labels = Tensor::from_vec(vec![0_i32, 1, 2, 0, 0], &[5]).unwrap();
    let [losses, lse] = forward(&Tensor::from_vec(rows.concat(), &[5, 3]).unwrap(), &labels, 0.0);
    let ln3 = 3.0_f32.ln();
    // log 3 is nothing beside what it is added to.
    assert_eq!(lse.as_slice::<f32>().unwrap(), [max, -max, 1e30, ln3, 0.0]);
    assert_eq!(losses.as_slice::<f32>().unwrap(), [0.0, 0.0, 0.0, ln3, 0.0]);
}

/// As a logit without a chance has it: masked vocabularies are minus infinity.
#[test]
fn a_class_at_minus_infinity_counts_nothing() {
    let with = Tensor::from_vec(vec![1.0, f32::NEG_INFINITY, 2.0, 0.5], &[1, 4]).unwrap();
    let without = Tensor::from_vec(vec![1.0_f32, 2.0, 0.5], &[1, 3]).unwrap();
    let label = |label: i32| Tensor::from_vec(vec![label], &[1]).unwrap();
    let ([loss, lse], [expected, expected_lse]) = (forward(&with, &label(3), 0.0), forward(&without, &label(2), 0.0));
    assert_within(&lse, values(&expected_lse).iter().map(|x| (*x, 2.0 * U)));
    assert_within(&loss, values(&expected).iter().map(|x| (*x, 4.0 * U)));
    let dloss = Tensor::from_vec(vec![1.0_f32], &[1]).unwrap();
    assert_eq!(values(&backward(&dloss, &with, &label(3), &lse, 0.0))[1], 0.0);
    // And a label without a chance costs infinitely much.
    assert_eq!(values(&forward(&with, &label(1), 0.0)[0]), [f64::INFINITY]);
}

#[test]
fn a_row_with_nan_is_nan_and_leaves_the_others_alone() {
    for special in [f32::NAN, f32::INFINITY] {
        let mut data = numbers(3, 4 * 40);
        data[2 * 40 + 5] = special;
        let logits = Tensor::from_vec(data, &[4, 40]).unwrap();
        let labels = Tensor::from_vec(vec![0_i32, 1, 2, 3], &[4]).unwrap();
        let [losses, lse] = forward(&logits, &labels, 0.1);
        for output in [&losses, &lse] {
            assert_eq!(values(output).iter().map(|x| x.is_nan()).collect::<Vec<_>>(), [false, false, true, false]);
        }
        let dloss = Tensor::from_vec(vec![1.0_f32; 4], &[4]).unwrap();
        let dlogits = values(&backward(&dloss, &logits, &labels, &lse, 0.1));
        assert!(dlogits.chunks_exact(40).map(|row| row.iter().all(|x| x.is_nan())).eq([false, false, true, false]));
    }
}

#[test]
fn an_ignored_row_counts_nothing_whatever_it_holds() {
    let logits = Tensor::from_vec(vec![f32::NAN, f32::INFINITY, 1.0, 2.0], &[2, 2]).unwrap();
    let labels = Tensor::from_vec(vec![IGNORE, 0], &[2]).unwrap();
    let [losses, lse] = forward(&logits, &labels, 0.5);
    assert_eq!(values(&losses)[0], 0.0);
    let dloss = Tensor::from_vec(vec![f32::NAN, 1.0], &[2]).unwrap();
    assert_eq!(values(&backward(&dloss, &logits, &labels, &lse, 0.5))[..2], [0.0, 0.0]);
}

#[test]
fn the_gradient_adds_up_to_0_over_a_row() {
    for label_smoothing in [0.0, 0.3] {
        let (logits, labels) = (logits(6, 500, 5.0), labels(6, 500));
        let [_, lse] = forward(&logits, &labels, label_smoothing);
        let dloss = Tensor::from_vec(vec![1.0_f32; 6], &[6]).unwrap();
        for row in values(&backward(&dloss, &logits, &labels, &lse, label_smoothing)).chunks_exact(500) {
            // Of a distribution and another: each adds up to 1 but for the error of the exponentials.
            assert!(row.iter().sum::<f64>().abs() < 64.0 * U);
        }
    }
}

#[test]
fn a_label_that_is_no_class_is_refused() {
    for label in [-1, 3, i32::MIN, i32::MAX] {
        let labels = Tensor::from_vec(vec![0, label], &[2]).unwrap();
        let error = ops().try_run("cross_entropy_forward", &[&logits(2, 3, 1.0), &labels], &scalars(0.0)).unwrap_err();
        assert!(error.to_string().contains("a label is neither a class"), "{error}");
    }
}

#[test]
fn other_floats_have_the_loss_of_f32_and_its_gradient_rounded() {
    let (logits, labels) = (logits(11, 123, 4.0), labels(11, 123));
    let dloss = Tensor::from_vec(numbers(4, 11), &[11]).unwrap();
    macro_rules! check {
        ($T:ident) => {
            let narrow = |tensor: &Tensor| {
                let data = tensor.as_slice::<f32>().unwrap().iter().map(|x| $T::from_f32(*x)).collect();
                Tensor::from_vec::<$T>(data, tensor.ty().shape()).unwrap()
            };
            let narrowed = narrow(&logits);
            let wide = narrowed.as_slice::<$T>().unwrap().iter().map(|x| x.to_f32()).collect();
            let wide = Tensor::from_vec::<f32>(wide, &[11, 123]).unwrap();
            let (found, expected) = (forward(&narrowed, &labels, 0.1), forward(&wide, &labels, 0.1));
            assert_eq!(found.each_ref().map(digest), expected.each_ref().map(digest));
            let expected = narrow(&backward(&dloss, &wide, &labels, &expected[1], 0.1));
            assert_eq!(digest(&backward(&dloss, &narrowed, &labels, &found[1], 0.1)), digest(&expected));
        };
    }
    check!(bf16);
    check!(f16);
}

/// Native library, op package and Xtensa program run this test, and have these bits.
#[test]
fn the_bits_are_those_of_every_tier() {
    let (logits, labels) = (logits(11, 333, 4.0), labels(11, 333));
    let dloss = Tensor::from_vec(numbers(4, 11), &[11]).unwrap();
    let [losses, lse] = forward(&logits, &labels, 0.1);
    let dlogits = backward(&dloss, &logits, &labels, &lse, 0.1);
    assert_eq!(
        [losses, lse, dlogits].each_ref().map(digest),
        [0xeea0_4eba_ccff_dc59, 0x9094_d345_aa9e_306d, 0x1b0c_d71e_1761_d016]
    );
}
