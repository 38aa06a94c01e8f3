//! RMS norm and its gradients against float64, on the tier under test, with the bits of every engine.
//!
//! Formula: Zhang, Sennrich, Root Mean Square Layer Normalization, 2019, equation 4, with eps as PyTorch has it.

use gpsimd_testing::{Ops, Tensor, assert_within, digest, numbers, values};

/// Unit roundoff of f32.
const U: f64 = 1.0 / (1 << 24) as f64;
const EPS: f32 = 1e-6;

/// Rows and columns. A default pool holds 3072 f32; there are 8 cores and 8 parts of the rows.
const SHAPES: [(usize, usize); 8] = [(1, 1), (3, 1), (2, 5), (20, 16), (9, 100), (3, 768), (17, 1000), (3, 5000)];

fn ops() -> Ops {
    Ops::of(&nn_ops::OP_LIBRARY)
}

fn tensor(data: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(data, shape).expect("as many numbers as the shape has")
}

fn forward(x: &Tensor, gamma: &Tensor) -> [Tensor; 2] {
    ops().run_everywhere("rms_norm_forward", &[x, gamma], &[EPS.into()])
}

fn backward(dy: &Tensor, x: &Tensor, gamma: &Tensor, rstd: &Tensor) -> [Tensor; 2] {
    ops().run_everywhere("rms_norm_backward", &[dy, x, gamma, rstd], &[])
}

/// A sum of n terms in 16 lanes: Higham, Accuracy and Stability of Numerical Algorithms, section 4.2.
fn roundings(terms: usize) -> f64 {
    terms as f64 / 16.0 + 8.0
}

#[test]
fn rows_have_the_norm_of_float64_to_the_bound_of_their_sum() {
    for (rows, columns) in SHAPES {
        for scale in [1e-15, 1.0, 1e15] {
            let x = tensor(numbers(1, rows * columns).iter().map(|x| x * scale).collect(), &[rows, columns]);
            let gamma = tensor(numbers(2, columns), &[columns]);
            let [y, rstd] = forward(&x, &gamma);
            let (x, gamma) = (values(&x), values(&gamma));
            let exact =
                |row: &[f64]| 1.0 / (row.iter().map(|x| x * x).sum::<f64>() / columns as f64 + f64::from(EPS)).sqrt();
            let exact: Vec<_> = x.chunks_exact(columns).map(exact).collect();
            // Squares are positive: the error of their sum is relative, and the square root halves it.
            let relative = U * (roundings(columns) / 2.0 + 4.0);
            assert_within(&rstd, exact.iter().map(|rstd| (*rstd, relative * rstd)));
            let y_exact = |i: usize| x[i] * exact[i / columns] * gamma[i % columns];
            assert_within(&y, (0..x.len()).map(|i| (y_exact(i), (relative + 2.0 * U) * y_exact(i).abs())));
        }
    }
}

#[test]
fn special_rows() {
    let gamma = tensor(vec![2.0; 40], &[40]);
    let mut data = numbers(3, 4 * 40);
    data[..40].fill(0.0);
    data[40] = f32::NAN;
    data[80] = f32::INFINITY;
    let [y, rstd] = forward(&tensor(data.clone(), &[4, 40]), &gamma);
    let (y, rstd) = (values(&y), values(&rstd));
    // Of nothing, nothing; and infinity leaves nothing of the others, and NaN of itself.
    assert!(y[..40].iter().all(|y| *y == 0.0));
    assert!(y[40..80].iter().all(|y| y.is_nan()));
    assert!(y[80].is_nan() && y[81..120].iter().all(|y| *y == 0.0) && rstd[2] == 0.0);
    let [alone, _] = forward(&tensor(data[120..].to_vec(), &[1, 40]), &gamma);
    assert_eq!(y[120..], values(&alone));
}

#[test]
fn rows_of_nothing_and_no_rows() {
    let none = tensor(vec![], &[0]);
    let [y, rstd] = forward(&tensor(vec![], &[3, 0]), &none);
    assert!(y.ty().len() == 0 && values(&rstd).iter().all(|x| x.is_nan()));
    let (empty, gamma) = (tensor(vec![], &[0, 7]), tensor(vec![1.0; 7], &[7]));
    let [dx, dgamma] = backward(&empty, &empty, &gamma, &none);
    assert_eq!((dx.ty().len(), values(&dgamma)), (0, vec![0.0; 7]));
}

#[test]
fn gradients_are_those_of_float64_to_the_bounds_of_their_sums() {
    for (rows, columns) in SHAPES {
        let x = tensor(numbers(1, rows * columns), &[rows, columns]);
        let gamma = tensor(numbers(2, columns), &[columns]);
        let dy = tensor(numbers(4, rows * columns), &[rows, columns]);
        let [_, rstd] = forward(&x, &gamma);
        let [dx, dgamma] = backward(&dy, &x, &gamma, &rstd);
        // Of the deviation that forward returned: its error is its own.
        let [dy, x, gamma, rstd] = [&dy, &x, &gamma, &rstd].map(values);
        let u = |i: usize| x[i] * rstd[i / columns];
        let g = |i: usize| dy[i] * gamma[i % columns];
        let expected = (0..x.len()).map(|i| {
            let row = i / columns * columns..(i / columns + 1) * columns;
            let of_gu = row.clone().map(|i| g(i) * u(i)).sum::<f64>() / columns as f64;
            let all_gu = row.map(|i| (g(i) * u(i)).abs()).sum::<f64>() / columns as f64;
            let error = roundings(columns) * u(i).abs() * all_gu + 4.0 * (g(i).abs() + (u(i) * of_gu).abs());
            (rstd[i / columns] * (g(i) - u(i) * of_gu), U * rstd[i / columns] * error)
        });
        assert_within(&dx, expected);
        // Parts of rows / 8 rows each, added one after the other, and 8 parts.
        let of_column = |column: usize| {
            let terms = (0..rows).map(|row| row * columns + column).map(|i| dy[i] * u(i));
            let size = terms.clone().map(f64::abs).sum::<f64>();
            (terms.sum::<f64>(), U * (rows as f64 / 8.0 + 12.0) * size)
        };
        assert_within(&dgamma, (0..columns).map(of_column));
    }
}

/// Native library, op package and Xtensa program run this test, and have these bits.
#[test]
fn the_bits_are_those_of_every_tier() {
    let [x, dy] = [1, 2].map(|seed| tensor(numbers(seed, 11 * 333), &[11, 333]));
    let gamma = tensor(numbers(3, 333), &[333]);
    let [y, rstd] = forward(&x, &gamma);
    let [dx, dgamma] = backward(&dy, &x, &gamma, &rstd);
    assert_eq!(
        [y, rstd, dx, dgamma].each_ref().map(digest),
        [0x8b83_5e11_f9d2_10d1, 0xc8a9_96d4_e831_0da8, 0x154d_6e48_2d18_e1d2, 0x5a8e_1752_13b7_0cbf]
    );
}
