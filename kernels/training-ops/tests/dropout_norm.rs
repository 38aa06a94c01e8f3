//! Dropout, residual and layer normalisation against float64, with the elements that the op `dropout` drops, whose numbers
//! `index-ops` compares with Philox as published; on the tier under test, with the bits of every engine.

use gpsimd_testing::{Ops, Scalar, Tensor, assert_within, bf16, digest, f16, numbers, values};

/// Unit roundoff of f32.
const U: f64 = 1.0 / (1 << 24) as f64;
const EPS: f32 = 1e-5;

/// Rows and columns. A default pool holds 3072 f32; there are 8 cores and 8 parts of the rows.
const SHAPES: [(usize, usize); 7] = [(1, 1), (3, 1), (2, 5), (20, 16), (9, 100), (17, 768), (3, 5000)];

fn ops() -> Ops {
    Ops::of(&training_ops::OP_LIBRARY)
}

fn tensor(data: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(data, shape).expect("as many numbers as the shape has")
}

/// x, residual, gamma, beta.
fn operands(rows: usize, columns: usize) -> [Tensor; 4] {
    let matrix = |seed| tensor(numbers(seed, rows * columns), &[rows, columns]);
    [matrix(1), matrix(2), tensor(numbers(3, columns), &[columns]), tensor(numbers(4, columns), &[columns])]
}

fn seed() -> Tensor {
    Tensor::from_vec(vec![0x1234_5678, -7], &[2]).expect("two halves")
}

fn scalars(p: f32) -> [Scalar; 2] {
    [EPS.into(), p.into()]
}

fn forward([x, residual, gamma, beta]: &[Tensor; 4], p: f32) -> [Tensor; 4] {
    ops().run_everywhere("dropout_norm_forward", &[x, residual, gamma, beta, &seed()], &scalars(p))
}

/// dx, dresidual, dgamma, dbeta.
fn backward(dy: &Tensor, gamma: &Tensor, [_, sum, mean, rstd]: &[Tensor; 4], p: f32) -> [Tensor; 4] {
    ops().run_everywhere("dropout_norm_backward", &[dy, sum, gamma, mean, rstd, &seed()], &[p.into()])
}

/// What dropout multiplies each element by: 0, or 1 / (1 - p).
fn factors(rows: usize, columns: usize, p: f32) -> Vec<f64> {
    let ones = tensor(vec![1.0; rows * columns], &[rows, columns]);
    values(&ops().run("dropout", &[&ones, &seed()], &[p.into()]))
}

/// Higham, Accuracy and Stability of Numerical Algorithms, section 4.2: 16 lanes.
fn roundings(terms: usize) -> f64 {
    terms as f64 / 16.0 + 8.0
}

#[test]
fn the_sum_is_that_of_what_is_kept_and_its_norm_that_of_float64() {
    for ((rows, columns), p) in SHAPES.into_iter().zip([0.1, 0.5, 0.0, 1.0, 0.1, 0.1, 0.3]) {
        let operands = operands(rows, columns);
        let [y, sum, mean, rstd] = forward(&operands, p);
        let [x, residual, gamma, beta] = operands.each_ref().map(values);
        let kept = factors(rows, columns, p);
        // A product and a sum are rounded, the sum in its own place.
        let terms = x.iter().zip(&kept).map(|(x, kept)| x * kept).zip(&residual);
        assert_within(&sum, terms.map(|(dropped, residual)| (dropped + residual, U * dropped.abs())));
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
    for ((rows, columns), p) in SHAPES.into_iter().zip([0.1, 0.5, 0.0, 1.0, 0.1, 0.1, 0.3]) {
        let operands = operands(rows, columns);
        let outputs = forward(&operands, p);
        let (gamma, dy) = (&operands[2], tensor(numbers(5, rows * columns), &[rows, columns]));
        let [dx, dresidual, dgamma, dbeta] = backward(&dy, gamma, &outputs, p);
        let [_, sum, mean, rstd] = &outputs;
        let [dy, sum, gamma, mean, rstd] = [&dy, sum, gamma, mean, rstd].map(values);
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
            (rstd * (g(i) - of_g - u(i) * of_gu), U * rstd * error)
        });
        assert_within(&dresidual, expected);
        // One more product.
        let terms = values(&dresidual).into_iter().zip(factors(rows, columns, p));
        assert_within(&dx, terms.map(|(dresidual, kept)| (dresidual * kept, U * (dresidual * kept).abs())));
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
            let [y, sum, mean, rstd] = forward(&narrowed, 0.2);
            assert_eq!(digest(&sum), digest(&narrow(&forward(&narrowed.each_ref().map(wide), 0.2)[1])));
            let zero = tensor(vec![0.0; 6 * 90], &[6, 90]);
            let [wide_y, _, wide_mean, wide_rstd] =
                forward(&[wide(&sum), zero, wide(&narrowed[2]), wide(&narrowed[3])], 0.0);
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
        let [y, ..] = forward(&[constant(0.1), constant(777.7), gamma, beta.clone()], 0.0);
        assert_eq!(values(&y), values(&beta), "{columns} columns");
    }
    let [_, _, gamma, beta] = operands(1, 7);
    let empty = || tensor(vec![], &[0, 7]);
    assert!(forward(&[empty(), empty(), gamma, beta], 0.1).iter().all(|output| output.ty().len() == 0));
}

/// Native library, op package and Xtensa program run this test, and have these bits.
#[test]
fn the_bits_are_those_of_every_tier() {
    let operands = operands(11, 333);
    let outputs = forward(&operands, 0.1);
    let dy = tensor(numbers(5, 11 * 333), &[11, 333]);
    let gradients = backward(&dy, &operands[2], &outputs, 0.1);
    assert_eq!(
        outputs.each_ref().map(digest),
        [0x6ead_6ccf_39b5_d2fb, 0x5b64_3ce1_22bb_ceec, 0x3154_2b9f_3a5f_8aa2, 0x0d21_380b_ad74_499a]
    );
    assert_eq!(
        gradients.each_ref().map(digest),
        [0x28dc_a4ab_e815_0dc6, 0xf957_ee19_6a92_848e, 0x8efb_87ea_19b6_ca1a, 0xa2db_5e7b_63f5_4322]
    );
}

#[test]
fn what_is_no_probability_is_refused() {
    let [x, residual, gamma, beta] = operands(2, 3);
    for p in [-0.1, 1.5, f32::NAN] {
        let error =
            ops().try_run("dropout_norm_forward", &[&x, &residual, &gamma, &beta, &seed()], &scalars(p)).unwrap_err();
        assert!(error.to_string().contains("`p` is a probability, from 0 to 1"), "{error}");
    }
}
