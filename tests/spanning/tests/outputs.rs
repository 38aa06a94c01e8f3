//! Several outputs, sizes and typed scalars on every tier (`tests/ops/output-ops`): the values are those of plain Rust.

use gpsimd_emulator::{Engine, Launch, Mode, Op, Scalar, Tensor, TensorView, bf16};
use gpsimd_tests::{cases, library};

fn op(name: &str) -> Op {
    library(&output_ops::OP_LIBRARY).op(name).expect("the op")
}

fn engine(mode: Mode, cores: usize) -> Engine {
    Engine::builder().mode(mode).cores(cores).threads(2).tcm_bytes(4096).build().expect("an engine")
}

/// As many cores as there can be, and fewer.
fn engines() -> impl Iterator<Item = Engine> {
    let cores = if cases(100) < 100 { 8..=8 } else { 1..=8 };
    cores.flat_map(|cores| [Mode::Checked, Mode::Fast].map(|mode| engine(mode, cores)))
}

/// The outputs, the same with every engine.
#[track_caller]
fn call(name: &str, tensors: &[&Tensor], scalars: &[Scalar]) -> Vec<Tensor> {
    let views: Vec<TensorView<'_>> = tensors.iter().map(|tensor| tensor.view()).collect();
    let mut results = engines()
        .map(|engine| engine.call_all(&op(name), &views, scalars).unwrap_or_else(|error| panic!("{name}: {error}")));
    let first = results.next().expect("an engine");
    for other in results {
        let same = first.iter().zip(&other).all(|(a, b)| a.ty() == b.ty() && a.bytes() == b.bytes());
        assert!(same, "{name}: cores or modes differ");
    }
    first
}

fn tensor<T: gpsimd_emulator::Element>(data: Vec<T>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(data, shape).expect("as many elements as the shape")
}

fn floats(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 + i / 91 + seed * 11) % 129) as f32 / 16.0 - 4.0).collect()
}

fn integers(len: usize) -> Vec<i32> {
    (0..len as i32).map(|i| i.wrapping_mul(-1_640_531_535).rotate_left(7)).collect()
}

const SHAPES: [[usize; 2]; 7] = [[0, 5], [5, 0], [1, 1], [3, 17], [8, 64], [9, 300], [2, 1500]];

#[test]
fn a_size_is_what_the_shape_function_and_the_kernel_see() {
    for [rows, columns] in SHAPES {
        let data = integers(rows * columns);
        let x = tensor(data.clone(), &[rows, columns]);
        for k in [0, 1, columns / 2, columns].into_iter().filter(|k| *k <= columns) {
            let expected = (0..rows).flat_map(|row| &data[row * columns..row * columns + k]).copied().collect();
            assert_eq!(call("first", &[&x], &[k.into()]), [tensor::<i32>(expected, &[rows, k])]);
        }
    }
    let x = tensor(vec![1.0_f32; 6], &[2, 3]);
    let refused = engine(Mode::Fast, 8).call(&op("first"), &[x.view()], &[4_usize.into()]);
    insta::assert_snapshot!(refused.expect_err("4 > 3"), @"op `first`: k is larger than the rows of x");
    let refused = engine(Mode::Fast, 8).call(&op("first"), &[x.view()], &[2_i32.into()]);
    insta::assert_snapshot!(refused.expect_err("no size"), @"op `first`: operand `k` is a size, found an i32");
}

#[test]
fn a_walk_writes_outputs_of_two_dtypes() {
    for [rows, columns] in SHAPES {
        let data = floats(rows * columns, 1);
        let squares = tensor(data.iter().map(|x| x * x).collect(), &[rows, columns]);
        let sign = |x: &f32| i8::from(*x > 0.0) - i8::from(*x < 0.0);
        let signs = tensor(data.iter().map(sign).collect(), &[rows, columns]);
        // The numbers are multiples of 1/16 below 4, which bf16 has.
        let narrow = tensor(data.iter().map(|x| bf16::from_f32(*x)).collect(), &[rows, columns]);
        for x in [tensor(data, &[rows, columns]), narrow] {
            assert_eq!(call("squares", &[&x], &[]), [squares.clone(), signs.clone()]);
        }
    }
}

#[test]
fn rows_write_outputs_of_three_dtypes() {
    for [rows, columns] in SHAPES {
        let data: Vec<i16> = integers(rows * columns).iter().map(|x| *x as i16).collect();
        let (mut less, mut far, mut is_least) = (Vec::new(), Vec::new(), Vec::new());
        for row in data.chunks(columns.max(1)) {
            let sum: i32 = row.iter().copied().map(i32::from).sum();
            let least = *row.iter().min().expect("a column");
            less.extend(row.iter().map(|x| x.wrapping_sub(least)));
            far.extend(row.iter().map(|x| sum - i32::from(*x)));
            is_least.extend(row.iter().map(|x| u8::from(*x == least)));
        }
        let shape = &[rows, columns];
        let expected = [tensor(less, shape), tensor(far, shape), tensor(is_least, shape)];
        assert_eq!(call("centred", &[&tensor(data, shape)], &[]), expected);
    }
}

#[test]
fn outputs_by_hand_have_other_shapes_than_the_operand() {
    for [rows, columns] in SHAPES {
        let data = floats(rows * columns, 2);
        let (mut values, mut indices) = (vec![f32::NEG_INFINITY; rows], vec![-1; rows]);
        for (row, x) in data.chunks(columns.max(1)).enumerate() {
            values[row] = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            indices[row] = x.iter().position(|x| *x == values[row]).map_or(-1, |index| index as i32);
        }
        let expected = [tensor(values, &[rows]), tensor(indices, &[rows])];
        assert_eq!(call("largest", &[&tensor(data, &[rows, columns])], &[]), expected);
    }
}

#[test]
fn every_scalar_arrives_to_the_bit() {
    let x = tensor(vec![0_u8], &[1]);
    let cases: [(u32, usize, u32, bool, i32); 4] = [
        (u32::MAX, 0, 0x7fc1_2345, true, i32::MIN),
        (0, 1, 0xff80_0001, false, i32::MAX),
        (1 << 31, 65535, 0x8000_0000, true, -1),
        (16_777_217, 16_777_217, 0x0000_0001, false, 16_777_217),
    ];
    for (unsigned, size, float, flag, signed) in cases {
        let float_value = f32::from_bits(float);
        let scalars = [unsigned.into(), size.into(), float_value.into(), flag.into(), signed.into()];
        let expected = vec![unsigned as i32, size as i32, float as i32, i32::from(flag), signed];
        assert_eq!(call("bits", &[&x], &scalars), [tensor(expected, &[5])]);
    }
}

#[test]
fn scalars_of_another_type_number_or_order_are_refused() {
    let x = tensor(vec![0_u8], &[1]);
    let good: [Scalar; 5] = [1_u32.into(), 2_usize.into(), 3.0.into(), true.into(), 4.into()];
    let refusal = |scalars: &[Scalar]| {
        engine(Mode::Fast, 8).call(&op("bits"), &[x.view()], scalars).expect_err("a mistake").to_string()
    };
    let mut swapped = good;
    swapped.swap(0, 4);
    let mut bool_as_number = good;
    bool_as_number[3] = 1.into();
    let mut number_as_size = good;
    number_as_size[1] = 2_u32.into();
    let mut size_as_float = good;
    size_as_float[2] = 3_usize.into();
    let messages = [&swapped[..], &bool_as_number, &number_as_size, &size_as_float, &good[..4]].map(refusal);
    insta::assert_snapshot!(messages.join("\n"), @"
    op `bits`: operand `unsigned` is a u32, found an i32
    op `bits`: operand `flag` is a bool, found an i32
    op `bits`: operand `size` is a size, found a u32
    op `bits`: operand `float` is an f32, found a size
    op `bits` takes 5 scalars, found 4
    ");
}

#[test]
fn one_output_is_in_place_and_the_other_is_not() {
    for len in [0, 1, 15, 64, 1000, 5000] {
        let (x, step) = (floats(len, 3), floats(len, 4));
        let moved: Vec<f32> = step.iter().map(|step| 0.25 * step).collect();
        let y = tensor(x.iter().zip(&moved).map(|(x, moved)| x + moved).collect::<Vec<f32>>(), &[len]);
        let (x, step, moved) = (tensor(x, &[len]), tensor(step, &[len]), tensor(moved, &[len]));
        assert_eq!(call("steps", &[&x, &step], &[0.25.into()]), [y.clone(), moved.clone()]);
        assert_eq!(call("steps_by_hand", &[&x, &step], &[0.25.into()]), [moved.clone(), y.clone()]);
        for engine in engines() {
            for (name, y_first) in [("steps", true), ("steps_by_hand", false)] {
                let (mut in_place, mut apart) = (x.clone(), Tensor::zeros(x.ty()));
                let mut outputs = vec![in_place.view_mut(), apart.view_mut()];
                if !y_first {
                    outputs.swap(0, 1);
                }
                let launch = Launch { tensors: &[step.view()], scalars: &[0.25.into()], outputs };
                engine.launch_in_place(&op(name), launch).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!((&in_place, &apart), (&y, &moved), "{name}, {len} elements");
            }
        }
    }
}

#[test]
fn a_gradient_of_two_operands_has_two_outputs() {
    let [dy, x, a] = [5, 6, 7].map(|seed| floats(100, seed));
    let times = |a: &[f32], b: &[f32]| tensor(a.iter().zip(b).map(|(a, b)| a * b).collect(), &[100]);
    let expected = [times(&dy, &a), times(&dy, &x)];
    let [dy, x, a] = [dy, x, a].map(|data| tensor(data, &[100]));
    assert_eq!(call("product_backward", &[&dy, &x, &a], &[]), expected);
}

/// Random bits are those of the element's index, whatever the walk, its tiles and its cores.
#[test]
fn random_bits_are_an_operand_of_every_walk() {
    for [rows, columns] in SHAPES {
        let seed = (rows * 31 + columns) as u32;
        let (x, bias) = (integers(rows * columns), integers(columns));
        let word = |i: usize| gpsimd::random::Philox::new(seed.into()).bits(i as u64).cast_signed();
        let outputs = call(
            "random_words",
            &[&tensor(x.clone(), &[rows, columns]), &tensor(bias.clone(), &[columns])],
            &[Scalar::U32(seed)],
        );
        let [alone, beside, sums] = &outputs[..] else { panic!("three outputs") };
        let expected: Vec<i32> = (0..x.len()).map(word).collect();
        assert_eq!(alone.as_slice::<i32>().unwrap(), expected, "{rows} x {columns}");
        let expected: Vec<i32> =
            (0..x.len()).map(|i| x[i].wrapping_add(word(i)).wrapping_add(bias[i % columns])).collect();
        assert_eq!(beside.as_slice::<i32>().unwrap(), expected, "{rows} x {columns}");
        let of_row = |row: usize| {
            let elements = row * columns..(row + 1) * columns;
            elements.map(|i| x[i].wrapping_add(word(i))).fold(0, i32::wrapping_add)
        };
        assert_eq!(sums.as_slice::<i32>().unwrap(), (0..rows).map(of_row).collect::<Vec<i32>>(), "{rows} x {columns}");
    }
}
