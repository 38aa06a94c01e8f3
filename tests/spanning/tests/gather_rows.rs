//! Rows added to a table at indices, and the gradient of rows at indices, on every tier and in both modes: the sums in the order
//! of the indices, to the bit, whatever the size of the pool and the number of cores, and however often a row is named.

use gpsimd_emulator::{Element, Engine, Mode, Op, Tensor, bf16};
use gpsimd_tests::{cases, library};
use index_ops::OP_LIBRARY;
use proptest::collection::vec;
use proptest::prelude::*;

fn op(name: &str) -> Op {
    library(&OP_LIBRARY).op(name).expect("the op")
}

fn tensor<T: Element>(values: Vec<T>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape).expect("as many elements as the shape")
}

/// The sums of the rows of a table and of x, of any float by its value in f32.
fn reference(mut sums: Vec<f32>, x: &[f32], ids: &[i32], columns: usize) -> Vec<f32> {
    for (place, id) in ids.iter().enumerate() {
        for column in 0..columns {
            sums[*id as usize * columns + column] += x[place * columns + column];
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
        is_gradient: bool, scale in -4.0_f32..4.0,
    ) {
        let mode = if is_fast { Mode::Fast } else { Mode::Checked };
        let engine = Engine::builder().cores(cores).tcm_bytes(lines * 64).mode(mode).build().expect("an engine");
        let count = ids.len();
        let x: Vec<f32> = (0..count * columns).map(|i| ((i * 7919) % 1009) as f32 * scale - 30.0).collect();
        let table: Vec<f32> = (0..rows * columns).map(|i| ((i * 6007) % 997) as f32 * scale - 20.0).collect();
        let (of_x, of_table, ids_of_x) = (&[count, columns], &[rows, columns], tensor(ids.clone(), &[count]));
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let run = |x: &Tensor, table: &Tensor| {
            let (name, operands) = if is_gradient {
                ("gather_rows_backward", [x, &ids_of_x, table])
            } else {
                ("index_add", [table, &ids_of_x, x])
            };
            engine.call_all(&op(name), &operands.map(Tensor::view), &[]).expect("a launch").remove(0)
        };
        let start = |table: Vec<f32>| if is_gradient { vec![0.0; table.len()] } else { table };
        if is_narrow {
            let narrow = |x: Vec<f32>| x.into_iter().map(bf16::from_f32).collect::<Vec<_>>();
            let wide = |x: &[bf16]| x.iter().map(|x| x.to_f32()).collect::<Vec<_>>();
            let (x, table) = (narrow(x), narrow(table));
            let found = run(&tensor(x.clone(), of_x), &tensor(table.clone(), of_table));
            let expected = wide(&narrow(reference(start(wide(&table)), &wide(&x), &ids, columns)));
            prop_assert_eq!(bits(&wide(found.as_slice::<bf16>().expect("bf16"))), bits(&expected));
        } else {
            let found = run(&tensor(x.clone(), of_x), &tensor(table.clone(), of_table));
            let expected = reference(start(table), &x, &ids, columns);
            prop_assert_eq!(bits(found.as_slice::<f32>().expect("f32")), bits(&expected));
        }
    }
}

/// What no index names is the table's, to the bit: also NaNs with a payload, and -0.
#[test]
fn rows_that_no_index_names_stay_as_they_are() {
    let bits = [0x7F80_0001_u32, 0xFFC1_2345, 0x8000_0000, 1, 0x7F7F_FFFF];
    let base: Vec<f32> = (0..40 * 5).map(|i| f32::from_bits(bits[i % 5])).collect();
    let (base, ids) = (tensor(base, &[40, 5]), tensor(vec![7, 39, 7], &[3]));
    let x = tensor(vec![1.0_f32; 3 * 5], &[3, 5]);
    for mode in [Mode::Checked, Mode::Fast] {
        let engine = Engine::builder().cores(3).mode(mode).build().expect("an engine");
        let y =
            engine.call_all(&op("index_add"), &[&base, &ids, &x].map(Tensor::view), &[]).expect("a launch").remove(0);
        let rows = |x: &Tensor| x.as_slice::<f32>().expect("f32").iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        for (row, (y, base)) in rows(&y).chunks(5).zip(rows(&base).chunks(5)).enumerate() {
            assert_eq!(y == base, row != 7 && row != 39, "row {row}: {y:x?}");
        }
    }
}

#[test]
fn an_index_of_no_row_is_refused() {
    let engine = Engine::builder().build().expect("an engine");
    let refused = |rows: usize, id: i32| {
        let (dy, ids) = (tensor(vec![1.0_f32; 3 * 2], &[3, 2]), tensor(vec![0, id, 0], &[3]));
        let table = tensor(vec![0.0_f32; rows * 2], &[rows, 2]);
        let error = engine
            .call_all(&op("gather_rows_backward"), &[&dy, &ids, &table].map(Tensor::view), &[])
            .expect_err("refused");
        gpsimd_tests::without_lines(error.to_string())
    };
    insta::assert_snapshot!(refused(3, 3), @"op `gather_rows_backward`, core 0, at kernels/index-ops/src/index_add.rs:LINE: index 3, element 1 of `ids`, is out of range: there are 3 to choose from");
    insta::assert_snapshot!(refused(3, -1), @"op `gather_rows_backward`, core 0, at kernels/index-ops/src/index_add.rs:LINE: index -1, element 1 of `ids`, is out of range: there are 3 to choose from");
    insta::assert_snapshot!(refused(3, i32::MIN), @"op `gather_rows_backward`, core 0, at kernels/index-ops/src/index_add.rs:LINE: index -2147483648, element 1 of `ids`, is out of range: there are 3 to choose from");
    insta::assert_snapshot!(refused(0, 0), @"op `gather_rows_backward`, core 0, at kernels/index-ops/src/index_add.rs:LINE: index 0, element 0 of `ids`, is out of range: there are 0 to choose from");
}

/// There is nothing to read or to add, whatever the index: as in PyTorch, and the same in an op and its gradient.
#[test]
fn indices_of_rows_without_elements_are_not_looked_at() {
    let engine = Engine::builder().build().expect("an engine");
    for (rows, ids) in [(0, vec![0]), (0, vec![7, -1]), (3, vec![9])] {
        let (table, x) = (tensor::<f32>(vec![], &[rows, 0]), tensor::<f32>(vec![], &[ids.len(), 0]));
        let count = ids.len();
        let ids = tensor(ids, &[count]);
        let calls = [
            ("gather_rows", vec![&table, &ids], &x),
            ("gather_rows_backward", vec![&x, &ids, &table], &table),
            ("index_add", vec![&table, &ids, &x], &table),
        ];
        for (name, operands, like) in calls {
            let operands: Vec<_> = operands.into_iter().map(Tensor::view).collect();
            let y = engine.call_all(&op(name), &operands, &[]).expect("a launch").remove(0);
            assert_eq!(y.ty(), like.ty(), "{name}");
        }
    }
}
