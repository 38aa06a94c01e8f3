//! Rows at indices and at strides (`tests/ops/index-dma-ops`), on every tier and in both modes, against the definition
//! element by element.

use gpsimd_emulator::{DType, Engine, Launch, LaunchError, Mode, Op, Tensor, TensorView};
use gpsimd_tests::{cases, library, without_lines};
use insta::assert_snapshot;
use proptest::prelude::*;

fn op(name: &str) -> Op {
    library(&index_dma_ops::OP_LIBRARY).op(name).expect("the op")
}

fn engine(mode: Mode) -> Engine {
    Engine::builder().mode(mode).threads(2).build().expect("an engine")
}

fn both(name: &str, operands: &[&Tensor]) -> [Result<Tensor, LaunchError>; 2] {
    let views: Vec<TensorView<'_>> = operands.iter().map(|tensor| tensor.view()).collect();
    [Mode::Checked, Mode::Fast].map(|mode| engine(mode).call(&op(name), &views, &[]))
}

/// The result of an op, the same in both modes, and with three cores that have little TCM.
fn call(name: &str, operands: &[&Tensor]) -> Tensor {
    let [checked, fast] = both(name, operands).map(|result| result.unwrap_or_else(|error| panic!("{name}: {error}")));
    assert_eq!(checked.bytes(), fast.bytes(), "{name}: modes differ");
    let views: Vec<TensorView<'_>> = operands.iter().map(|tensor| tensor.view()).collect();
    for mode in [Mode::Checked, Mode::Fast] {
        let small = Engine::builder().mode(mode).cores(3).tcm_bytes(2560).build().expect("an engine");
        let result = small.call(&op(name), &views, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(checked.bytes(), result.bytes(), "{name}: engines differ");
    }
    checked
}

/// The message of a launch that fails, the same in both modes.
fn message(name: &str, operands: &[&Tensor]) -> String {
    let [checked, fast] = both(name, operands).map(|result| result.expect_err(name).to_string());
    assert_eq!(checked, fast, "{name}: modes differ");
    without_lines(checked)
}

/// Integers that every float adds and multiplies exactly, and every type has.
fn numbers(dtype: DType, shape: &[usize]) -> Tensor {
    let len: usize = shape.iter().product();
    let values = (0..len).map(|i| ((i * 7 + i / 5 + i / 31) % 9) as f32 * 2.0);
    Tensor::of_numbers(gpsimd_emulator::TensorType::new(dtype, shape).expect("a type"), values)
}

fn indices(values: &[i32], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values.to_vec(), shape).expect("as many as the shape")
}

fn values<T: bytemuck::Pod>(tensor: &Tensor) -> Vec<T> {
    tensor.bytes().chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    values(tensor)
}

/// Row `row` of `tensor`, in bytes.
fn row(tensor: &Tensor, row: usize) -> &[u8] {
    let ty = tensor.ty();
    let bytes = ty.shape().last().expect("a dimension") * ty.dtype().bytes();
    &tensor.bytes()[row * bytes..(row + 1) * bytes]
}

/// Lengths of rows: one element, whole vectors and not, and more than the pool has.
fn any_columns() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1..40_usize, 2 => Just(64_usize), 1 => Just(5000_usize), 1 => Just(0_usize)]
}

fn any_dtype() -> impl Strategy<Value = DType> {
    prop::sample::select(DType::ALL.to_vec())
}

/// A table of some rows, and indices of them: none, one, more than cores, more than a tile.
fn any_lookup() -> impl Strategy<Value = (usize, Vec<i32>)> {
    let len = prop_oneof![1 => Just(0_usize), 1 => Just(1_usize), 4 => 2..40_usize, 1 => 300..700_usize];
    (1..30_usize, len).prop_flat_map(|(rows, len)| (Just(rows), prop::collection::vec(0..rows as i32, len..=len)))
}

/// A permutation of some numbers.
fn any_permutation() -> impl Strategy<Value = Vec<i32>> {
    let len = prop_oneof![1 => Just(0_usize), 1 => Just(1_usize), 4 => 2..40_usize, 1 => 300..700_usize];
    len.prop_flat_map(|len| Just((0..len as i32).collect::<Vec<_>>()).prop_shuffle())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]

    #[test]
    fn gathered_rows_are_those_that_the_indices_name(
        (rows, ids) in any_lookup(), columns in any_columns(), dtype in any_dtype(),
    ) {
        let table = numbers(dtype, &[rows, columns]);
        let y = call("gather_rows", &[&table, &indices(&ids, &[ids.len()])]);
        let expected: Vec<u8> = ids.iter().flat_map(|id| row(&table, *id as usize)).copied().collect();
        prop_assert_eq!(y.bytes(), &expected[..]);
    }

    #[test]
    fn gathers_are_broadcast_by_the_shape_of_their_indices(
        (batch, length) in (1..5_usize, 1..9_usize), rows in 1..9_usize, columns in any_columns(), seed in 0..100_usize,
        is_whole: bool,
    ) {
        let (words, places) = (numbers(DType::F32, &[rows, columns]), numbers(DType::F32, &[7, columns]));
        let ids: Vec<_> = (0..batch * length).map(|i| ((i * 5 + seed) % rows) as i32).collect();
        let count = if is_whole { batch * length } else { length };
        let at: Vec<_> = (0..count).map(|i| ((i * 3 + seed) % 7) as i32).collect();
        let shape = if is_whole { vec![batch, length] } else { vec![length] };
        let y = call("embed", &[&words, &indices(&ids, &[batch, length]), &places, &indices(&at, &shape)]);
        let (words, places) = (floats(&words), floats(&places));
        let expected = ids.iter().enumerate().flat_map(|(i, id)| {
            let place = at[i % count] as usize;
            let sums = words[*id as usize * columns..][..columns].iter().zip(&places[place * columns..][..columns]);
            let sums: Vec<f32> = sums.map(|(word, place)| word + place).collect();
            let mean = sums.iter().sum::<f32>() / columns as f32;
            sums.into_iter().map(move |sum| sum - mean)
        });
        prop_assert_eq!(floats(&y), expected.collect::<Vec<_>>());
    }

    #[test]
    fn blocks_of_columns_are_operands(rows in 0..40_usize, half in any_columns()) {
        let x = numbers(DType::F32, &[rows, 2 * half]);
        let y = call("gate", &[&x]);
        let values = floats(&x);
        let expected = (0..rows).flat_map(|row| {
            let row = &values[row * 2 * half..][..2 * half];
            (0..half).map(move |i| row[i] * row[half + i])
        });
        prop_assert_eq!(floats(&y), expected.collect::<Vec<_>>());
    }

    #[test]
    fn windows_of_images_are_operands(
        images in 0..4_usize, channels in 1..4_usize, height in 2..9_usize, width in 2..20_usize, dtype in any_dtype(),
    ) {
        let x = numbers(dtype, &[images, channels, height, width]);
        let y = call("crop", &[&x]);
        let bytes = dtype.bytes();
        let expected: Vec<u8> = (0..images * channels)
            .flat_map(|image| (1..height - 1).map(move |row| image * height + row))
            .flat_map(|line| x.bytes()[line * width * bytes..][bytes..(width - 1) * bytes].iter().copied())
            .collect();
        prop_assert_eq!(y.bytes(), &expected[..]);
    }

    #[test]
    fn rows_gathered_by_hand_are_summed(
        rows in 1..20_usize, bags in 0..20_usize, k in 0..7_usize, columns in any_columns(), seed in 0..100_usize,
    ) {
        let table = numbers(DType::F32, &[rows, columns]);
        let ids: Vec<_> = (0..bags * k).map(|i| ((i * 7 + seed) % rows) as i32).collect();
        let y = call("bag", &[&table, &indices(&ids, &[bags, k])]);
        let values = floats(&table);
        let expected = (0..bags).flat_map(|bag| {
            let (ids, values) = (&ids[bag * k..][..k], &values);
            (0..columns).map(move |i| ids.iter().map(|id| values[*id as usize * columns + i]).sum::<f32>())
        });
        prop_assert_eq!(floats(&y), expected.map(|sum| sum + 0.0).collect::<Vec<_>>());
    }

    #[test]
    fn windows_loaded_by_hand_have_their_rows(
        images in 0..3_usize, channels in 1..3_usize, height in 0..9_usize, width in 0..40_usize,
    ) {
        let x = numbers(DType::I32, &[images, channels, height, width]);
        let y: Vec<i32> = values(&call("max_pool", &[&x]));
        let values: Vec<i32> = values(&x);
        let at = |image: usize, row: usize, column: usize| values[(image * height + row) * width + column];
        let expected = (0..images * channels).flat_map(|image| {
            (0..height / 2).flat_map(move |row| {
                (0..width / 2).map(move |column| {
                    let pixels = [(0, 0), (0, 1), (1, 0), (1, 1)];
                    pixels.map(|(i, j)| at(image, 2 * row + i, 2 * column + j)).into_iter().max().expect("four")
                })
            })
        });
        prop_assert_eq!(y, expected.collect::<Vec<_>>());
    }

    #[test]
    fn blocks_of_columns_are_stored_by_hand(n in 0..40_usize, m in 0..40_usize, dtype in any_dtype()) {
        let x = numbers(dtype, &[n, m]);
        let y = call("transpose", &[&x]);
        let bytes = dtype.bytes();
        let expected: Vec<u8> = (0..m)
            .flat_map(|column| (0..n).map(move |row| row * m + column))
            .flat_map(|element| x.bytes()[element * bytes..][..bytes].iter().copied())
            .collect();
        prop_assert_eq!(y.bytes(), &expected[..]);
    }

    #[test]
    fn scattered_rows_are_where_the_indices_say(
        to in any_permutation(), columns in any_columns(), dtype in any_dtype(),
    ) {
        let x = numbers(dtype, &[to.len(), columns]);
        let y = call("permute_rows", &[&x, &indices(&to, &[to.len()])]);
        for (i, to) in to.iter().enumerate() {
            prop_assert_eq!(row(&y, *to as usize), row(&x, i));
        }
    }

    #[test]
    fn rows_that_nothing_is_scattered_to_are_those_of_the_base(
        to in any_permutation(), part in 0.0..1.0_f64, columns in any_columns(), dtype in any_dtype(),
    ) {
        let rows = to.len();
        let to = &to[..(part * rows as f64) as usize];
        let base = numbers(dtype, &[rows, columns]);
        let x = Tensor::of_numbers(
            gpsimd_emulator::TensorType::new(dtype, &[to.len(), columns]).expect("a type"),
            (0..to.len() * columns).map(|i| (i % 5) as f32 + 1.0),
        );
        let ids = indices(to, &[to.len()]);
        let y = call("set_rows", &[&base, &x, &ids]);
        for r in 0..rows {
            let from = to.iter().position(|to| *to as usize == r);
            prop_assert_eq!(row(&y, r), from.map_or(row(&base, r), |i| row(&x, i)));
        }
        for mode in [Mode::Checked, Mode::Fast] {
            let mut in_place = base.clone();
            let launch = Launch { tensors: &[x.view(), ids.view()], scalars: &[], outputs: vec![in_place.view_mut()] };
            engine(mode).launch_in_place(&op("set_rows"), launch).expect("in place");
            prop_assert_eq!(in_place.bytes(), y.bytes());
        }
    }
}

#[test]
fn an_index_that_names_no_row_is_an_error_that_says_which_and_where_from() {
    let table = numbers(DType::F32, &[5, 8]);
    let (mut ids, mut negative) = (vec![4; 700], vec![4; 700]);
    // Neither the first of a core's nor the first of all: of 700 rows core 7 begins with number 613.
    (ids[650], negative[40]) = (5, -1);
    assert_snapshot!(message("gather_rows", &[&table, &indices(&ids, &[700])]));
    assert_snapshot!(message("gather_rows", &[&table, &indices(&negative, &[7, 100])]));
    assert_snapshot!(message("gather_rows", &[&numbers(DType::I8, &[0, 8]), &indices(&[0], &[1])]));
}

#[test]
fn an_index_given_in_a_slice_is_told_by_its_number() {
    let table = numbers(DType::F32, &[5, 8]);
    assert_snapshot!(message("bag", &[&table, &indices(&[0, 1, 2, 3, 4, 7], &[2, 3])]));
    assert_snapshot!(message("bag", &[&table, &indices(&[0, 1, i32::MIN, 3, 4, 2], &[2, 3])]));
}

#[test]
fn two_indices_that_name_the_same_row_are_an_error_that_says_which() {
    let x = numbers(DType::F32, &[600, 3]);
    let mut to: Vec<i32> = (0..600).collect();
    to[411] = 17;
    assert_snapshot!(message("permute_rows", &[&x, &indices(&to, &[600])]));
    assert_snapshot!(message("set_rows", &[&x, &numbers(DType::F32, &[3, 3]), &indices(&[5, 599, 5], &[3])]));
}

#[test]
fn a_row_that_no_index_names_is_an_error() {
    let x = numbers(DType::F32, &[3, 4]);
    assert_snapshot!(message("permute_rows", &[&x, &indices(&[0, 2, 3], &[3])]));
    let y = numbers(DType::F32, &[0, 4]);
    assert_snapshot!(message("set_rows", &[&y, &numbers(DType::F32, &[1, 4]), &indices(&[0], &[1])]));
}

#[test]
fn rows_are_scattered_only_where_their_numbers_agree() {
    let (x, base) = (numbers(DType::F32, &[3, 4]), numbers(DType::F32, &[5, 6]));
    assert_snapshot!(message("permute_rows", &[&x, &indices(&[0, 1], &[2])]));
    assert_snapshot!(message("set_rows", &[&base, &x, &indices(&[0, 1, 2], &[3])]));
}

#[test]
fn what_leaves_a_tensor_is_an_error() {
    for columns in [2, 3, 4, 5, 6] {
        assert_snapshot!(format!("leaves_{columns}"), message("leaves", &[&numbers(DType::F32, &[3, columns])]));
    }
}

#[test]
fn a_gather_of_other_rows_than_the_output_has_is_an_error() {
    let (words, places) = (numbers(DType::F32, &[4, 8]), numbers(DType::F32, &[4, 9]));
    let ids = indices(&[0, 1], &[1, 2]);
    assert_snapshot!(message("embed", &[&words, &ids, &places, &ids]));
    assert_snapshot!(message("embed", &[&words, &ids, &words, &indices(&[0, 1, 2], &[3])]));
}

/// Of 16 rows two for each core: the indices, then each row, then both of them out. Rows that follow come in one.
#[test]
fn each_row_is_a_dma() {
    let engine = Engine::builder().cores(8).build().expect("an engine");
    let table = numbers(DType::F32, &[40, 16]);
    for (step, loads) in [(2, 3), (1, 2)] {
        let ids: Vec<i32> = (0..16).map(|i| i * step).collect();
        let ids = indices(&ids, &[16]);
        let mut y = numbers(DType::F32, &[16, 16]);
        let launch = Launch { tensors: &[table.view(), ids.view()], scalars: &[], outputs: vec![y.view_mut()] };
        let report = engine.launch(&op("gather_rows"), launch).expect("a launch");
        for core in &report.cores[..7] {
            // The core's indices, and those after them in one DMA of up to 64.
            assert_eq!((core.loads, core.stores, core.store_bytes), (loads, 1, 2 * 64));
        }
        assert_eq!(report.cores[7].load_bytes, 2 * 4 + 2 * 64);
    }
}
