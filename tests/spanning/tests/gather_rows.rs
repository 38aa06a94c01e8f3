//! The gradient of rows of a table at indices, on every tier and in both modes: the sums in the order of the indices, to the
//! bit, whatever the size of the pool and the number of cores, and however often a row is named.

use gpsimd_emulator::{Element, Engine, Mode, Op, Tensor, bf16};
use gpsimd_tests::{cases, library};
use index_ops::OP_LIBRARY;
use proptest::collection::vec;
use proptest::prelude::*;

fn op() -> Op {
    library(&OP_LIBRARY).op("gather_rows_backward").expect("the op")
}

fn tensor<T: Element>(values: Vec<T>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape).expect("as many elements as the shape")
}

/// The sums of the rows of dy, of any float by its value in f32.
fn reference(dy: &[f32], ids: &[i32], rows: usize, columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f32; rows * columns];
    for (place, id) in ids.iter().enumerate() {
        for column in 0..columns {
            sums[*id as usize * columns + column] += dy[place * columns + column];
        }
    }
    sums
}

/// Indices without a pattern, or most of them the same: more than any core has room for.
fn any_ids(rows: usize) -> impl Strategy<Value = Vec<i32>> {
    let id = 0..rows as i32;
    let favourite =
        id.clone().prop_flat_map(move |favourite| vec(prop_oneof![5 => Just(favourite), 1 => 0..rows as i32], 0..700));
    prop_oneof![vec(id, 0..700), favourite]
}

fn any_case() -> impl Strategy<Value = (usize, usize, Vec<i32>)> {
    let columns = prop_oneof![4 => 0..40_usize, 1 => 500..1500_usize];
    (1..300_usize, columns).prop_flat_map(|(rows, columns)| (Just(rows), Just(columns), any_ids(rows)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(40)))]

    #[test]
    fn rows_are_summed_in_the_order_of_their_indices(
        (rows, columns, ids) in any_case(), cores in 1..=8_usize, lines in 64..256_usize, is_fast: bool, is_narrow: bool,
        scale in -4.0_f32..4.0,
    ) {
        let mode = if is_fast { Mode::Fast } else { Mode::Checked };
        let engine = Engine::builder().cores(cores).tcm_bytes(lines * 64).mode(mode).build().expect("an engine");
        let count = ids.len();
        let dy: Vec<f32> = (0..count * columns).map(|i| ((i * 7919) % 1009) as f32 * scale - 30.0).collect();
        let (of_dy, of_ids) = (&[count, columns], tensor(ids.clone(), &[count]));
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let run = |dy: &Tensor, table: &Tensor| {
            engine.call_all(&op(), &[dy.view(), of_ids.view(), table.view()], &[]).expect("a launch").remove(0)
        };
        if is_narrow {
            let dy: Vec<bf16> = dy.into_iter().map(bf16::from_f32).collect();
            let table = tensor(vec![bf16::from_f32(0.0); rows * columns], &[rows, columns]);
            let found = run(&tensor(dy.clone(), of_dy), &table);
            let dy: Vec<f32> = dy.into_iter().map(bf16::to_f32).collect();
            let expected = reference(&dy, &ids, rows, columns).into_iter().map(|x| bf16::from_f32(x).to_f32());
            let found = found.as_slice::<bf16>().expect("bf16").iter().map(|x| x.to_f32()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&found), bits(&expected.collect::<Vec<_>>()));
        } else {
            let found = run(&tensor(dy.clone(), of_dy), &tensor(vec![0.0_f32; rows * columns], &[rows, columns]));
            let expected = reference(&dy, &ids, rows, columns);
            prop_assert_eq!(bits(found.as_slice::<f32>().expect("f32")), bits(&expected));
        }
    }
}

#[test]
fn an_index_of_no_row_is_refused() {
    let engine = Engine::builder().build().expect("an engine");
    let refused = |rows: usize, id: i32| {
        let (dy, ids) = (tensor(vec![1.0_f32; 3 * 2], &[3, 2]), tensor(vec![0, id, 0], &[3]));
        let table = tensor(vec![0.0_f32; rows * 2], &[rows, 2]);
        let error = engine.call_all(&op(), &[&dy, &ids, &table].map(Tensor::view), &[]).expect_err("refused");
        gpsimd_tests::without_lines(error.to_string())
    };
    insta::assert_snapshot!(refused(3, 3), @"op `gather_rows_backward`, core 0, at kernels/index-ops/src/gather_rows_backward.rs:LINE: index 3, element 1 of `ids`, is out of range: there are 3 to choose from");
    insta::assert_snapshot!(refused(3, -1), @"op `gather_rows_backward`, core 0, at kernels/index-ops/src/gather_rows_backward.rs:LINE: index -1, element 1 of `ids`, is out of range: there are 3 to choose from");
    insta::assert_snapshot!(refused(3, i32::MIN), @"op `gather_rows_backward`, core 0, at kernels/index-ops/src/gather_rows_backward.rs:LINE: index -2147483648, element 1 of `ids`, is out of range: there are 3 to choose from");
    insta::assert_snapshot!(refused(0, 0), @"op `gather_rows_backward`, core 0, at kernels/index-ops/src/gather_rows_backward.rs:LINE: index 0, element 0 of `ids`, is out of range: there are 0 to choose from");
}
