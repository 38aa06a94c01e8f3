//! Reductions that go by an operand whose rows lie apart (`tests/ops/apart-ops`), on every tier, in both modes and on every
//! engine; and such an operand that is replaced in place.

use gpsimd_emulator::{Engine, Launch, Mode, Op, Tensor, TensorView};
use gpsimd_tests::{cases, library, without_lines};
use insta::assert_snapshot;
use proptest::prelude::*;

fn op(name: &str) -> Op {
    library(&apart_ops::OP_LIBRARY).op(name).expect("the op")
}

/// The results of an op, the same on engines far apart.
fn call<const N: usize>(name: &str, operands: &[&Tensor]) -> [Tensor; N] {
    let views: Vec<TensorView<'_>> = operands.iter().map(|tensor| tensor.view()).collect();
    let run = |cores, tcm_bytes, mode| {
        let engine =
            Engine::builder().threads(2).cores(cores).tcm_bytes(tcm_bytes).mode(mode).build().expect("an engine");
        engine.call_all(&op(name), &views, &[]).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let expected = run(8, 16 * 1024, Mode::Checked);
    for (cores, tcm_bytes, mode) in [(8, 16 * 1024, Mode::Fast), (3, 2560, Mode::Checked), (1, 2560, Mode::Fast)] {
        assert_eq!(run(cores, tcm_bytes, mode), expected, "{name}: {cores} cores, {tcm_bytes} bytes, {mode:?}");
    }
    expected.try_into().expect("as many outputs")
}

/// Whole numbers, whose sums are exact.
fn numbers(shape: &[usize]) -> Tensor {
    let values = (0..shape.iter().product()).map(|i: usize| ((i * 7 + i / 5 + i / 31) % 9) as f32 - 3.0);
    Tensor::from_vec(values.collect(), shape).expect("as many as the shape")
}

fn any_columns() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1..40_usize, 2 => Just(64_usize), 1 => Just(5000_usize)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(40)))]

    #[test]
    fn a_reduction_goes_by_the_rows_that_indices_name(
        rows in 1..9_usize, (batch, length) in (1..6_usize, 0..40_usize), columns in any_columns(), seed in 0..100_usize,
        is_broadcast: bool,
    ) {
        let table = numbers(&[rows, columns]);
        let ids: Vec<i32> = (0..batch * length).map(|i| ((i * 5 + i / 7 + seed) % rows) as i32).collect();
        let bias = if is_broadcast { numbers(&[batch, 1, columns]) } else { numbers(&[columns]) };
        let ids_tensor = Tensor::from_vec(ids.clone(), &[batch, length]).expect("as many as the shape");
        let [sums, found] = call("sums_of_rows", &[&table, &ids_tensor, &bias]);
        let row = |tensor: &Tensor, i: usize| -> f32 { tensor.as_slice::<f32>().unwrap()[i * columns..][..columns].iter().sum() };
        let expected: Vec<f32> = ids
            .iter()
            .enumerate()
            .map(|(i, id)| row(&table, *id as usize) + row(&bias, if is_broadcast { i / length } else { 0 }))
            .collect();
        prop_assert_eq!(sums.as_slice::<f32>().unwrap(), expected);
        prop_assert_eq!(found.as_slice::<i32>().unwrap(), (0..ids.len() as i32).collect::<Vec<_>>());
    }

    #[test]
    fn a_reduction_goes_by_the_rows_of_a_window(
        (images, channels) in (0..4_usize, 1..4_usize), (height, width) in (2..9_usize, 3..40_usize),
    ) {
        let count = images * channels * height * width;
        let x: Vec<i32> = (0..count).map(|i| (i * 7919 % 1009) as i32 - 500).collect();
        let shape = [images, channels, height, width];
        let [y] = call("maxima_inside", &[&Tensor::from_vec(x.clone(), &shape).expect("as many as the shape")]);
        let expected: Vec<i32> = (0..images * channels)
            .flat_map(|image| (1..height - 1).map(move |row| (image * height + row) * width))
            .map(|start| x[start + 1..start + width - 1].iter().copied().max().expect("one"))
            .collect();
        prop_assert_eq!(y.as_slice::<i32>().unwrap(), expected);
    }

    #[test]
    fn rows_of_a_block_of_columns_are_folded(rows in 0..70_usize, half in any_columns()) {
        let x = numbers(&[rows, 2 * half]);
        let [y] = call("column_sums", &[&x]);
        let x = x.as_slice::<f32>().unwrap();
        let sum = |column: usize| (0..rows).map(|row| x[row * 2 * half + half + column]).sum::<f32>();
        prop_assert_eq!(y.as_slice::<f32>().unwrap(), (0..half).map(|column| sum(column) + 0.0).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(12)))]

    #[test]
    fn what_is_broadcast_may_come_first(
        (batch, heads, length) in (1..5_usize, 1..4_usize, 1..9_usize), columns in any_columns(), which in 0..4_usize,
    ) {
        let shape = [batch, heads, length, columns];
        let own = [[1, 1, 1, columns], [batch, 1, 1, columns], [1, heads, 1, columns], [batch, 1, length, columns]][which];
        let (x, other) = (numbers(&own), numbers(&shape));
        let steps = |i: usize| usize::from(own[i] > 1);
        let row_of = |row: usize| {
            let (b, h, l) = (row / length / heads * steps(0), row / length % heads * steps(1), row % length * steps(2));
            (b * own[1] + h) * own[2] + l
        };
        let row = |row: usize| &x.as_slice::<f32>().unwrap()[row_of(row) * columns..][..columns];
        let rows = batch * heads * length;
        let like = Tensor::from_vec(vec![0_u8; rows * columns], &shape).expect("as many as the shape");
        let [y] = call("expand", &[&x, &like]);
        let expected: Vec<f32> = (0..rows).flat_map(|i| row(i).to_vec()).collect();
        prop_assert_eq!(y.as_slice::<f32>().unwrap(), &expected[..]);
        let [y] = call("less_sum_of_rows", &[&x, &other]);
        let others = other.as_slice::<f32>().unwrap();
        let expected: Vec<f32> = (0..rows * columns)
            .map(|i| row(i / columns)[i % columns] - row(i / columns).iter().sum::<f32>() + others[i])
            .collect();
        prop_assert_eq!(y.as_slice::<f32>().unwrap(), &expected[..]);
    }

    #[test]
    fn gathered_rows_that_are_broadcast_may_come_first(
        (batch, length, rows) in (1..5_usize, 1..30_usize, 1..9_usize), columns in any_columns(), has_batch: bool,
    ) {
        let (table, other) = (numbers(&[rows, columns]), numbers(&[batch, length, columns]));
        let ids: Vec<i32> = (0..length).map(|i| (i * 5 % rows) as i32).collect();
        let shape = if has_batch { vec![1, length] } else { vec![length] };
        let ids_tensor = Tensor::from_vec(ids.clone(), &shape).expect("as many as the shape");
        let [y] = call("less_sum", &[&table, &ids_tensor, &other]);
        let (table, other) = (table.as_slice::<f32>().unwrap(), other.as_slice::<f32>().unwrap());
        let expected: Vec<f32> = (0..batch * length * columns)
            .map(|i| {
                let row = &table[ids[i / columns % length] as usize * columns..][..columns];
                row[i % columns] - row.iter().sum::<f32>() + other[i]
            })
            .collect();
        prop_assert_eq!(y.as_slice::<f32>().unwrap(), expected);
    }
}

#[test]
fn an_index_that_names_no_row_is_an_error_of_a_reduction() {
    let ids = Tensor::from_vec(vec![0, 1, 5], &[3]).expect("three");
    let engine = Engine::builder().build().expect("an engine");
    let operands = [numbers(&[5, 8]), ids, numbers(&[8])];
    let operands = operands.each_ref().map(Tensor::view);
    let error = engine.call_all(&op("sums_of_rows"), &operands, &[]).expect_err("an index of nothing");
    assert_snapshot!(without_lines(error), @"op `sums_of_rows`, core 2, at tests/ops/apart-ops/src/lib.rs:LINE: index 5, element 2 of `ids`, is out of range: `table` has 5 rows");
}

fn refused(name: &str, operands: &[&Tensor]) -> String {
    let views: Vec<TensorView<'_>> = operands.iter().map(|tensor| tensor.view()).collect();
    let engine = Engine::builder().build().expect("an engine");
    without_lines(engine.call_all(&op(name), &views, &[]).expect_err("refused"))
}

#[test]
fn as_many_results_as_rows_are_reduced() {
    assert_snapshot!(refused("reduces_to_more", &[&numbers(&[9, 2])]));
}

/// Of a part of the indices an element is told by its number among all.
#[test]
fn indices_are_told_by_their_numbers_in_the_tensor() {
    let ids = |ids: [i32; 6]| Tensor::from_vec(ids.to_vec(), &[6]).expect("six");
    assert_snapshot!(refused("by_half_of_the_indices", &[&numbers(&[4, 2]), &ids([0, 0, 0, 1, 4, 2])]));
    assert_snapshot!(refused("by_half_of_the_indices", &[&numbers(&[3, 2]), &ids([0, 0, 0, 0, 2, 0])]));
}

/// What a core reads may have been replaced by another, or by itself. Every tier and mode says so, the native one in fast mode
/// before anything is read.
#[test]
fn rows_that_are_replaced_in_place_are_not_gathered() {
    let ids = Tensor::from_vec((0..40).rev().collect::<Vec<i32>>(), &[40]).expect("forty");
    for mode in [Mode::Checked, Mode::Fast] {
        for direct in [true, false] {
            let engine = Engine::builder().mode(mode).direct(direct).build().expect("an engine");
            let mut x = numbers(&[40, 16]);
            let launch = Launch { tensors: &[ids.view()], scalars: &[], outputs: vec![x.view_mut()] };
            let error = engine.launch_in_place(&op("shuffle"), launch).expect_err("replaced in place").to_string();
            assert!(error.contains("op `shuffle`, core ") && error.contains("replace"), "{error}");
        }
    }
}
