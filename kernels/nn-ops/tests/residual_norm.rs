//! The residual with layer normalisation: its sum is the sum, its norm that of `bert_ops`, which has tests of its own
//! against float64, and so are the gradients; on the tier under test, with the bits of every engine.

use gpsimd_testing::{Ops, Tensor, assert_within, bf16, digest, f16, numbers, values};

/// Unit roundoff of f32.
const U: f64 = 1.0 / (1 << 24) as f64;
const EPS: f32 = 1e-5;

/// Rows and columns. A default pool holds 3072 f32; there are 8 cores and 8 parts of the rows.
const SHAPES: [(usize, usize); 7] = [(1, 1), (3, 1), (2, 5), (20, 16), (9, 100), (17, 768), (3, 5000)];

fn ops() -> Ops {
    Ops::of(&nn_ops::OP_LIBRARY)
}

fn tensor(data: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(data, shape).expect("as many numbers as the shape has")
}

/// x, residual, gamma, beta.
fn operands(rows: usize, columns: usize) -> [Tensor; 4] {
    let matrix = |seed| tensor(numbers(seed, rows * columns), &[rows, columns]);
    [matrix(1), matrix(2), tensor(numbers(3, columns), &[columns]), tensor(numbers(4, columns), &[columns])]
}

fn forward(operands: &[Tensor; 4]) -> [Tensor; 4] {
    ops().run_everywhere("residual_layer_norm_forward", &operands.each_ref(), &[EPS.into()])
}

/// Higham, Accuracy and Stability of Numerical Algorithms, section 4.2: 16 lanes.
fn roundings(terms: usize) -> f64 {
    terms as f64 / 16.0 + 8.0
}

#[test]
fn the_sum_is_exact_and_its_norm_that_of_float64() {
    for (rows, columns) in SHAPES {
        let operands = operands(rows, columns);
        let [y, sum, mean, rstd] = forward(&operands);
        let [x, residual, gamma, beta] = operands.each_ref().map(values);
        // Rounded once.
        assert_within(&sum, x.iter().zip(&residual).map(|(x, residual)| (x + residual, 0.0)));
        let sum = values(&sum);
        let n = columns as f64;
        let exact: Vec<_> = sum
            .chunks_exact(columns)
            .map(|row| {
                let mean = row.iter().sum::<f64>() / n;
                (mean, 1.0 / (row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + f64::from(EPS)).sqrt())
            })
            .collect();
        // What the first sum leaves, at most 4 in magnitude, is summed again.
        let of_mean = U * roundings(columns) * 8.0;
        assert_within(&mean, exact.iter().map(|(mean, _)| (*mean, of_mean)));
        let of_rstd = |rstd: f64| rstd * (U * roundings(columns) + (rstd * of_mean).powi(2));
        assert_within(&rstd, exact.iter().map(|(_, rstd)| (*rstd, of_rstd(*rstd))));
        let expected = (0..sum.len()).map(|i| {
            let ((mean, rstd), gamma, beta) = (exact[i / columns], gamma[i % columns], beta[i % columns]);
            let difference = sum[i] - mean;
            let error = rstd * (of_mean + 2.0 * U * difference.abs()) + difference.abs() * of_rstd(rstd);
            (difference * rstd * gamma + beta, gamma.abs() * error)
        });
        assert_within(&y, expected);
    }
}

#[test]
fn gradients_are_those_of_float64_to_the_bounds_of_their_sums() {
    for (rows, columns) in SHAPES {
        let operands = operands(rows, columns);
        let [_, sum, mean, rstd] = forward(&operands);
        let gamma = &operands[2];
        let [dy, dsum] = [5, 6].map(|seed| tensor(numbers(seed, rows * columns), &[rows, columns]));
        let [dx] = ops().run_everywhere("residual_layer_norm_backward", &[&dy, &dsum, &sum, gamma, &mean, &rstd], &[]);
        let [dgamma, dbeta] =
            ops().run_everywhere("residual_layer_norm_weights", &[&dy, &sum, gamma, &mean, &rstd], &[]);
        let [dy, dsum, sum, gamma, mean, rstd] = [&dy, &dsum, &sum, gamma, &mean, &rstd].map(values);
        let u = |i: usize| (sum[i] - mean[i / columns]) * rstd[i / columns];
        let g = |i: usize| dy[i] * gamma[i % columns];
        let (n, r) = (columns as f64, roundings(columns));
        let expected = (0..sum.len()).map(|i| {
            let row = i / columns * columns..(i / columns + 1) * columns;
            let over_row = |f: &dyn Fn(usize) -> f64| row.clone().map(f).sum::<f64>() / n;
            let (of_g, of_gu) = (over_row(&g), over_row(&|i| g(i) * u(i)));
            let (all_g, all_gu) = (over_row(&|i| g(i).abs()), over_row(&|i| (g(i) * u(i)).abs()));
            let error = r * (all_g + u(i).abs() * all_gu) + 4.0 * (g(i).abs() + of_g.abs() + (u(i) * of_gu).abs());
            let rstd = rstd[i / columns];
            (dsum[i] + rstd * (g(i) - of_g - u(i) * of_gu), U * rstd * error)
        });
        assert_within(&dx, expected);
        // Parts of rows / 8 rows each, added one after the other, and 8 parts.
        let over_rows = |term: &dyn Fn(usize) -> f64| {
            let of_column = |column: usize| {
                let terms = || (0..rows).map(|row| term(row * columns + column));
                (terms().sum::<f64>(), U * (rows as f64 / 8.0 + 12.0) * terms().map(f64::abs).sum::<f64>())
            };
            (0..columns).map(of_column).collect::<Vec<_>>()
        };
        assert_within(&dgamma, over_rows(&|i| dy[i] * u(i)));
        assert_within(&dbeta, over_rows(&|i| dy[i]));
    }
}

/// The norm is that of the sum as it is stored, so that backward, which has nothing else, finds the same differences.
#[test]
fn other_floats_normalise_the_rounded_sum() {
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
            let narrowed = operands(6, 90).each_ref().map(narrow);
            let [y, sum, mean, rstd] = forward(&narrowed);
            assert_eq!(digest(&sum), digest(&narrow(&forward(&narrowed.each_ref().map(wide))[1])));
            let zero = tensor(vec![0.0; 6 * 90], &[6, 90]);
            let [wide_y, _, wide_mean, wide_rstd] =
                forward(&[wide(&sum), zero, wide(&narrowed[2]), wide(&narrowed[3])]);
            assert_eq!([&y, &mean, &rstd].map(digest), [&narrow(&wide_y), &wide_mean, &wide_rstd].map(digest));
        };
    }
    check!(bf16);
    check!(f16);
}

#[test]
fn a_constant_row_is_beta_and_no_rows_are_nothing() {
    for columns in [1, 3, 100, 5000] {
        let [_, _, gamma, beta] = operands(1, columns);
        let constant = |value| tensor(vec![value; columns], &[1, columns]);
        let [y, ..] = forward(&[constant(0.1), constant(777.7), gamma, beta.clone()]);
        assert_eq!(values(&y), values(&beta), "{columns} columns");
    }
    let [_, _, gamma, beta] = operands(1, 7);
    let empty = || tensor(vec![], &[0, 7]);
    assert!(forward(&[empty(), empty(), gamma, beta]).iter().all(|output| output.ty().len() == 0));
}

/// Native library, op package and Xtensa program run this test, and have these bits.
#[test]
fn the_bits_are_those_of_every_tier() {
    let operands = operands(11, 333);
    let [y, sum, mean, rstd] = forward(&operands);
    let [dy, dsum] = [5, 6].map(|seed| tensor(numbers(seed, 11 * 333), &[11, 333]));
    let gamma = &operands[2];
    let [dx] = ops().run_all("residual_layer_norm_backward", &[&dy, &dsum, &sum, gamma, &mean, &rstd], &[]);
    let [dgamma, dbeta] = ops().run_all("residual_layer_norm_weights", &[&dy, &sum, gamma, &mean, &rstd], &[]);
    assert_eq!(
        [y, sum, mean, rstd, dx, dgamma, dbeta].each_ref().map(digest),
        [
            0x6c41_cdcc_371d_2821,
            0x76af_392c_ab45_4288,
            0x3e11_5251_f82a_2f73,
            0x3721_0cdd_5f87_5ff9,
            0x7af5_5092_89ea_3ff8,
            0x931e_0d19_45f1_8581,
            0xa2db_5e7b_63f5_4322
        ]
    );
}
