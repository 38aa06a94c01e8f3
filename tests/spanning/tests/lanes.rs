//! `gpsimd::lanes` on a tier, against one element at a time.

use std::cmp::Reverse;

use gpsimd::lanes;
use gpsimd_emulator::{Element, Engine, Mode, Tensor, TensorView};
use gpsimd_tests::cases;

/// Numbers without a pattern.
fn random(len: usize, seed: u64) -> Vec<i32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as i32
    };
    (0..len).map(next).collect()
}

/// Floats with ties, zeros of both signs, infinities and, if asked, NaN.
fn floats(len: usize, seed: u64, nan: f32) -> Vec<f32> {
    let notable = [0.0, -0.0, 1.5, f32::INFINITY, f32::NEG_INFINITY, nan];
    let value = |bits: i32| match bits.rem_euclid(40) as usize {
        i if i < notable.len() => notable[i],
        i if i < 20 => (bits >> 24) as f32 * 0.25,
        _ => bits as f32 * 1e-7,
    };
    random(len, seed).into_iter().map(value).collect()
}

fn tensor<T: Element>(values: &[T], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values.to_vec(), shape).expect("as many elements")
}

/// The result of an op, the same in both modes.
fn call<T: Element>(name: &str, operands: &[&Tensor]) -> Vec<T> {
    let op = gpsimd_tests::library(&lane_ops::OP_LIBRARY).op(name).expect("the op");
    let views: Vec<TensorView<'_>> = operands.iter().map(|tensor| tensor.view()).collect();
    let [checked, fast] = [Mode::Checked, Mode::Fast].map(|mode| {
        let engine = Engine::builder().mode(mode).threads(2).build().expect("an engine");
        engine.call(&op, &views, &[]).unwrap_or_else(|error| panic!("{name}: {error}"))
    });
    assert_eq!(checked.bytes(), fast.bytes(), "{name}: modes differ");
    checked.as_slice::<T>().expect("the dtype of the result").to_vec()
}

/// Rows that fit in TCM, of fewer and more elements than a vector of any type.
fn matrices() -> Vec<(usize, usize)> {
    let all = [(3, 1), (1, 15), (2, 100), (9, 320), (2, 900)];
    all[..if cases(100) < 100 { 4 } else { 5 }].to_vec()
}

/// Rows longer than TCM, too.
fn long_matrices() -> Vec<(usize, usize)> {
    let mut all = matrices();
    all.push(if cases(100) < 100 { (1, 3500) } else { (3, 13_001) });
    all
}

/// Every op of integers on a type.
fn verify_integers<T: Element + Into<i64> + Ord>(of: fn(i64) -> T) {
    let numbers = |len| -> Vec<T> { random(len, 7).into_iter().map(|x| of(i64::from(x))).collect() };
    for (rows, columns) in matrices() {
        let x = numbers(rows * columns);
        let operand = tensor(&x, &[rows, columns]);
        let reduced = call::<T>("reduced", &[&operand]);
        let nonzero = call::<i32>("nonzero", &[&operand]);
        let mask: Vec<u8> = random(rows * columns, 8).into_iter().map(|x| (x % 3 == 0).into()).collect();
        let selected = call::<T>("selected", &[&operand, &tensor(&mask, &[rows, columns])]);
        for (i, row) in x.chunks(columns).enumerate() {
            let sum = row.iter().map(|x| (*x).into()).sum::<i64>();
            let expected = [of(sum), *row.iter().max().expect("not empty"), *row.iter().min().expect("not empty")];
            assert!(reduced[3 * i..][..3] == expected, "reduced, row {i} of {columns}");
            let mut expected: Vec<i32> = (0..columns as i32).filter(|i| row[*i as usize] != of(0)).collect();
            expected.resize(columns, -1);
            assert_eq!(nonzero[i * columns..][..columns], expected, "nonzero, row {i} of {columns}");
            let kept = row.iter().zip(&mask[i * columns..]).filter(|(_, mask)| **mask != 0).map(|(x, _)| *x);
            let mut expected: Vec<T> = kept.collect();
            expected.resize(columns, of(0));
            assert!(selected[i * columns..][..columns] == expected, "selected, row {i} of {columns}");
        }
    }
    for (rows, columns) in long_matrices() {
        let x = numbers(rows * columns);
        let operand = tensor(&x, &[rows, columns]);
        let sums = call::<T>("wrapping_cumsum", &[&operand]);
        let extremes = call::<i32>("integer_extremes", &[&operand]);
        for (i, row) in x.chunks(columns).enumerate() {
            let mut sum = 0;
            let expected = row.iter().map(|x| {
                sum += (*x).into();
                of(sum)
            });
            assert!(
                expected.eq(sums[i * columns..][..columns].iter().copied()),
                "wrapping_cumsum, row {i} of {columns}"
            );
            let greatest = (0..columns).max_by_key(|i| (row[*i], Reverse(*i))).expect("not empty");
            let least = (0..columns).min_by_key(|i| (row[*i], *i)).expect("not empty");
            assert_eq!(extremes[2 * i..][..2], [greatest as i32, least as i32], "row {i} of {columns}");
        }
    }
}

#[test]
fn integers_of_every_width_are_reduced_scanned_searched_and_selected() {
    verify_integers(|x| x as i32);
    verify_integers(|x| x as i16);
    verify_integers(|x| x as i8);
    verify_integers(|x| x as u8);
}

#[test]
fn sums_of_three_factors_have_the_bits_of_the_host() {
    for (rows, columns) in matrices() {
        let [x, y, z] = [1, 2, 3].map(|seed| floats(rows * columns, seed, 0.5));
        let [a, b, c] = [&x, &y, &z].map(|x| tensor(x, &[rows, columns]));
        let found = call::<f32>("products", &[&a, &b, &c]);
        for (i, found) in found.iter().enumerate() {
            let row = i * columns..(i + 1) * columns;
            let mut sum = gpsimd::Lanes::splat(0.0);
            sum.fold3(&x[row.clone()], &y[row.clone()], &z[row], |sum, x, y, z| (x * y).mul_add(z, sum));
            let expected = sum.sum();
            assert!(
                found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(),
                "row {i} of {columns}"
            );
        }
    }
}

#[test]
fn prefix_sums_have_the_bits_of_the_host_wherever_tiles_begin() {
    for (rows, columns) in long_matrices() {
        let x: Vec<f32> = random(rows * columns, 4).into_iter().map(|x| x as f32 * 1e-6).collect();
        let mut expected = x.clone();
        for row in expected.chunks_mut(columns) {
            lanes::cumsum(row, 0.0);
        }
        let found = call::<f32>("cumsum", &[&tensor(&x, &[rows, columns])]);
        assert!(found.iter().map(|x| x.to_bits()).eq(expected.iter().map(|x| x.to_bits())), "rows of {columns}");
    }
}

#[test]
fn the_extremes_of_floats_are_their_first_wherever_tiles_begin() {
    for nan in [f32::NAN, 3.0] {
        for (rows, columns) in long_matrices() {
            let x = floats(rows * columns, 5, nan);
            let found = call::<i32>("extremes", &[&tensor(&x, &[rows, columns])]);
            for (i, row) in x.chunks(columns).enumerate() {
                let first = |sign: i64| {
                    let rank = |x: f32| if x.is_nan() { i64::MAX } else { sign * i64::from(lanes::key(x)) };
                    (0..columns).max_by_key(|i| (rank(row[*i]), Reverse(*i))).expect("not empty") as i32
                };
                assert_eq!(found[2 * i..][..2], [first(1), first(-1)], "row {i} of {columns}");
            }
        }
    }
}

#[test]
fn the_greatest_of_a_row_are_those_of_a_stable_sort() {
    for nan in [f32::NAN, 3.0] {
        for (rows, columns) in long_matrices() {
            let x = floats(rows * columns, 6, nan);
            for k in [1, 8, 64, 200] {
                let found = call::<i32>("topk", &[&tensor(&x, &[rows, columns]), &tensor(&vec![0.0_f32; k], &[k])]);
                for (i, row) in x.chunks(columns).enumerate() {
                    let mut expected: Vec<i32> = (0..columns as i32).collect();
                    expected.sort_by_key(|i| Reverse(lanes::key(row[*i as usize])));
                    expected.resize(columns.max(k), -1);
                    assert_eq!(found[i * k..][..k], expected[..k], "k = {k}, row {i} of {columns}");
                }
            }
        }
    }
}

#[test]
fn rows_are_sorted_stably() {
    for columns in [32, 64, 512] {
        let x = floats(3 * columns, 9, f32::NAN);
        let found = call::<i32>("argsort", &[&tensor(&x, &[3, columns])]);
        for (i, row) in x.chunks(columns).enumerate() {
            let mut expected: Vec<i32> = (0..columns as i32).collect();
            expected.sort_by_key(|i| lanes::key(row[*i as usize]));
            assert_eq!(found[i * columns..][..columns], expected, "row {i} of {columns}");
        }
    }
}
