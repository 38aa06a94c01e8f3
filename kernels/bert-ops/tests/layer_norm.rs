//! Layer normalisation and its gradients against float64, on the tier under test, with the bits of every engine.
//!
//! Formulas: Ba, Kiros, Hinton, Layer Normalization, 2016, equations 3 and 4, and their derivatives.

use gpsimd_testing::{Ops, Tensor, assert_within, bf16, digest, f16, numbers, values};

/// Unit roundoff of f32.
const U: f64 = 1.0 / (1 << 24) as f64;
const EPS: f32 = 1e-5;

/// Rows and columns. A default pool holds 3072 f32; there are 8 cores and 8 parts of the rows.
const SHAPES: [(usize, usize); 8] = [(1, 1), (3, 1), (2, 5), (20, 16), (9, 100), (3, 768), (17, 1000), (3, 5000)];

fn ops() -> Ops {
    Ops::of(&bert_ops::OP_LIBRARY)
}

fn tensor(data: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(data, shape).expect("as many numbers as the shape has")
}

/// `[rows, columns]` around `mean`, and weights.
fn operands(rows: usize, columns: usize, mean: f32) -> [Tensor; 3] {
    let x = numbers(1, rows * columns).iter().map(|x| x + mean).collect();
    let gamma = numbers(2, columns).iter().map(|x| 1.0 + x / 2.0).collect();
    [tensor(x, &[rows, columns]), tensor(gamma, &[columns]), tensor(numbers(3, columns), &[columns])]
}

fn forward(x: &Tensor, gamma: &Tensor, beta: &Tensor) -> [Tensor; 3] {
    ops().run_everywhere("layer_norm_forward", &[x, gamma, beta], &[EPS.into()])
}

/// Mean and reciprocal standard deviation of a row.
fn statistics(row: &[f64]) -> (f64, f64) {
    let len = row.len() as f64;
    let mean = row.iter().sum::<f64>() / len;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / len;
    (mean, 1.0 / (variance + f64::from(EPS)).sqrt())
}

/// A sum of as many terms is off by this many units roundoff of the sum of their magnitudes: lanes of n / 16 additions each,
/// 4 that add the lanes up, and what rounds a term (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2).
fn roundings(terms: usize) -> f64 {
    terms as f64 / 16.0 + 8.0
}

#[test]
fn rows_are_normalised_to_the_bounds_of_their_sums() {
    for (rows, columns) in SHAPES {
        for offset in [0.0, 100.0] {
            let [x, gamma, beta] = operands(rows, columns, offset);
            let [y, mean, rstd] = forward(&x, &gamma, &beta);
            let (x, gamma, beta) = (values(&x), values(&gamma), values(&beta));
            let exact: Vec<_> = x.chunks_exact(columns).map(statistics).collect();
            // What the first sum leaves is summed again: its error is that of the differences, and one rounding.
            let mean_error = |row: &[f64], mean: f64| {
                let spread = row.iter().map(|x| (x - mean).abs()).fold(0.0, f64::max);
                U * (mean.abs() + 2.0 * roundings(columns) * (spread + U * roundings(columns) * mean.abs()))
            };
            let bounds: Vec<_> =
                x.chunks_exact(columns).zip(&exact).map(|(row, (mean, _))| mean_error(row, *mean)).collect();
            assert_within(&mean, exact.iter().zip(&bounds).map(|((mean, _), bound)| (*mean, *bound)));
            // The mean's error moves the variance by its square.
            let rstd_error = |rstd: f64, of_mean: f64| rstd * (U * roundings(columns) + (rstd * of_mean).powi(2));
            assert_within(
                &rstd,
                exact.iter().zip(&bounds).map(|((_, rstd), bound)| (*rstd, rstd_error(*rstd, *bound))),
            );
            let expected = (0..x.len()).map(|i| {
                let ((mean, rstd), of_mean) = (exact[i / columns], bounds[i / columns]);
                let (u, gamma, beta) = ((x[i] - mean) * rstd, gamma[i % columns], beta[i % columns]);
                let error =
                    rstd * (of_mean + 2.0 * U * (x[i] - mean).abs()) + u.abs() / rstd * rstd_error(rstd, of_mean);
                (u * gamma + beta, gamma.abs() * error)
            });
            assert_within(&y, expected);
        }
    }
}

#[test]
fn a_constant_row_is_beta() {
    for columns in [1, 3, 100, 768, 5000] {
        for constant in [0.0, 1.0, 0.1, -12345.678, 3e15] {
            let [_, gamma, beta] = operands(1, columns, 0.0);
            let [y, mean, rstd] = forward(&tensor(vec![constant; 2 * columns], &[2, columns]), &gamma, &beta);
            assert_eq!(mean.as_slice::<f32>().unwrap(), [constant; 2], "{columns} columns");
            assert_within(&rstd, [(1.0 / f64::from(EPS).sqrt(), U * 2.0 / f64::from(EPS).sqrt()); 2]);
            let beta = beta.as_slice::<f32>().unwrap();
            assert_eq!(y.as_slice::<f32>().unwrap(), [beta, beta].concat(), "{columns} columns of {constant}");
        }
    }
}

#[test]
fn a_row_with_nan_or_infinity_is_nan_and_leaves_the_others_alone() {
    let [x, gamma, beta] = operands(4, 50, 0.0);
    let [expected, ..] = forward(&x, &gamma, &beta);
    for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut data = x.as_slice::<f32>().unwrap().to_vec();
        data[2 * 50 + 7] = special;
        let [y, ..] = forward(&tensor(data, &[4, 50]), &gamma, &beta);
        let (y, expected) = (y.as_slice::<f32>().unwrap(), expected.as_slice::<f32>().unwrap());
        assert!(y[100..150].iter().all(|y| y.is_nan()));
        assert_eq!((&y[..100], &y[150..]), (&expected[..100], &expected[150..]));
    }
}

#[test]
fn rows_of_nothing_and_no_rows() {
    let none = tensor(vec![], &[0]);
    let [y, mean, rstd] = forward(&tensor(vec![], &[3, 0]), &none, &none);
    assert!(y.ty().len() == 0);
    assert!(values(&mean).iter().chain(&values(&rstd)).all(|x| x.is_nan()));
    let [_, gamma, beta] = operands(1, 7, 0.0);
    let [y, mean, rstd] = forward(&tensor(vec![], &[0, 7]), &gamma, &beta);
    assert!([y, mean, rstd].iter().all(|output| output.ty().len() == 0));
    let empty = tensor(vec![], &[0, 7]);
    let [dx, dgamma, dbeta] = backward(&empty, &empty, &gamma, &none, &none);
    assert!(dx.ty().len() == 0);
    assert_eq!((values(&dgamma), values(&dbeta)), (vec![0.0; 7], vec![0.0; 7]));
}

fn backward(dy: &Tensor, x: &Tensor, gamma: &Tensor, mean: &Tensor, rstd: &Tensor) -> [Tensor; 3] {
    ops().run_everywhere("layer_norm_backward", &[dy, x, gamma, mean, rstd], &[])
}

#[test]
fn gradients_are_those_of_float64_to_the_bounds_of_their_sums() {
    for (rows, columns) in SHAPES {
        let [x, gamma, beta] = operands(rows, columns, 2.0);
        let dy = tensor(numbers(4, rows * columns), &[rows, columns]);
        let [_, mean, rstd] = forward(&x, &gamma, &beta);
        let [dx, dgamma, dbeta] = backward(&dy, &x, &gamma, &mean, &rstd);
        // Of the mean and the deviation that forward returned: their errors are its own.
        let [dy, x, gamma, mean, rstd] = [&dy, &x, &gamma, &mean, &rstd].map(values);
        let u = |i: usize| (x[i] - mean[i / columns]) * rstd[i / columns];
        let g = |i: usize| dy[i] * gamma[i % columns];
        let (n, r) = (columns as f64, roundings(columns));
        let expected = (0..x.len()).map(|i| {
            let row = i / columns * columns..(i / columns + 1) * columns;
            let (of_g, of_gu) =
                (row.clone().map(g).sum::<f64>() / n, row.clone().map(|i| g(i) * u(i)).sum::<f64>() / n);
            let (all_g, all_gu) =
                (row.clone().map(|i| g(i).abs()).sum::<f64>() / n, row.map(|i| (g(i) * u(i)).abs()).sum::<f64>() / n);
            let exact = rstd[i / columns] * (g(i) - of_g - u(i) * of_gu);
            let error = r * (all_g + u(i).abs() * all_gu) + 4.0 * (g(i).abs() + of_g.abs() + (u(i) * of_gu).abs());
            (exact, U * rstd[i / columns] * error)
        });
        assert_within(&dx, expected);
        // Parts of rows / 8 rows each, added one after the other, and 8 parts.
        let r = rows as f64 / 8.0 + 12.0;
        let over_rows = |term: &dyn Fn(usize) -> f64| {
            let sum = |column: usize, f: &dyn Fn(f64) -> f64| {
                (0..rows).map(|row| f(term(row * columns + column))).sum::<f64>()
            };
            (0..columns).map(|i| (sum(i, &|x| x), U * r * sum(i, &f64::abs))).collect::<Vec<_>>()
        };
        assert_within(&dgamma, over_rows(&|i| dy[i] * u(i)));
        assert_within(&dbeta, over_rows(&|i| dy[i]));
    }
}

/// A row does not change when a constant is added to x, so dx has no part along a constant.
#[test]
fn the_gradient_adds_up_to_0_over_a_row() {
    let (rows, columns) = (5, 333);
    let [x, gamma, beta] = operands(rows, columns, 1.0);
    let dy = tensor(numbers(6, rows * columns), &[rows, columns]);
    let [_, mean, rstd] = forward(&x, &gamma, &beta);
    let [dx, ..] = backward(&dy, &x, &gamma, &mean, &rstd);
    for (row, rstd) in values(&dx).chunks_exact(columns).zip(values(&rstd)) {
        // Of terms up to 3 rstd, each rounded a few times.
        assert!(row.iter().sum::<f64>().abs() < columns as f64 * 10.0 * U * 3.0 * rstd);
    }
}

#[test]
fn other_floats_have_the_f32_result_rounded() {
    let [x, gamma, beta] = operands(10, 130, 0.5);
    let dy = tensor(numbers(5, 1300), &[10, 130]);
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
            let narrowed = [&x, &gamma, &beta, &dy].map(narrow);
            let [x, gamma, beta, dy] = &narrowed;
            let widened = narrowed.each_ref().map(wide);
            let [wide_x, wide_gamma, wide_beta, wide_dy] = &widened;
            let [y, mean, rstd] = forward(x, gamma, beta);
            let [wide_y, wide_mean, wide_rstd] = forward(wide_x, wide_gamma, wide_beta);
            assert_eq!([&y, &mean, &rstd].map(digest), [&narrow(&wide_y), &wide_mean, &wide_rstd].map(digest));
            let found = backward(dy, x, gamma, &mean, &rstd);
            let expected = backward(wide_dy, wide_x, wide_gamma, &mean, &rstd);
            assert_eq!(found.each_ref().map(digest), expected.each_ref().map(narrow).each_ref().map(digest));
        };
    }
    check!(bf16);
    check!(f16);
}

/// Native library, op package and Xtensa program run this test, and have these bits.
#[test]
fn the_bits_are_those_of_every_tier() {
    let [x, gamma, beta] = operands(11, 333, 0.25);
    let dy = tensor(numbers(7, 11 * 333), &[11, 333]);
    let [y, mean, rstd] = forward(&x, &gamma, &beta);
    let [dx, dgamma, dbeta] = backward(&dy, &x, &gamma, &mean, &rstd);
    assert_eq!(
        [y, mean, rstd, dx, dgamma, dbeta].each_ref().map(digest),
        [
            0xaf1c_228b_af9b_1892,
            0xe14c_b0a8_d660_18ac,
            0x9eb3_0695_8856_1a8a,
            0x4f23_e255_a19f_418d,
            0x80bf_0dcd_2177_e380,
            0x3d78_b8d7_9513_23c5
        ]
    );
}
