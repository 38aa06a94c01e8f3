//! Every element type on every tier: the values are those of the integers modulo 2^bits or at the ends of their range, and
//! of the f32 that is nearest, by arithmetic in i64 and by the crate `half`.

use gpsimd_emulator::{DType, Engine, Mode, Tensor, TensorView};
use gpsimd_tests::cases;
use half::{bf16, f16};

const INTEGERS: [DType; 4] = [DType::I32, DType::I16, DType::I8, DType::U8];
const FLOATS: [DType; 3] = [DType::F32, DType::Bf16, DType::F16];

/// The least and the greatest value of an integer type.
fn range(dtype: DType) -> (i64, i64) {
    match dtype {
        DType::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        DType::I16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        DType::I8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        DType::U8 => (0, 255),
        other => panic!("{} is not an integer type", other.name()),
    }
}

/// A number of an operand or result: integers exactly, floats as they are.
fn values(tensor: &Tensor) -> Vec<f64> {
    fn all<T: bytemuck::Pod>(bytes: &[u8], value: impl Fn(T) -> f64) -> Vec<f64> {
        bytes.chunks_exact(size_of::<T>()).map(|bytes| value(bytemuck::pod_read_unaligned(bytes))).collect()
    }
    let bytes = tensor.bytes();
    match tensor.view().ty().dtype() {
        DType::F32 => all::<f32>(bytes, f64::from),
        DType::Bf16 => all::<u16>(bytes, |bits| bf16::from_bits(bits).to_f64()),
        DType::F16 => all::<u16>(bytes, |bits| f16::from_bits(bits).to_f64()),
        DType::I32 => all::<i32>(bytes, f64::from),
        DType::I16 => all::<i16>(bytes, f64::from),
        DType::I8 => all::<i8>(bytes, f64::from),
        DType::U8 => all::<u8>(bytes, f64::from),
    }
}

fn tensor(dtype: DType, values: &[f64], shape: &[usize]) -> Tensor {
    fn of<T: gpsimd_emulator::Element>(values: &[f64], shape: &[usize], element: impl Fn(f64) -> T) -> Tensor {
        Tensor::from_vec(values.iter().map(|value| element(*value)).collect(), shape).expect("as many elements")
    }
    match dtype {
        DType::F32 => of(values, shape, |value| value as f32),
        DType::Bf16 => of(values, shape, bf16::from_f64),
        DType::F16 => of(values, shape, f16::from_f64),
        DType::I32 => of(values, shape, |value| value as i32),
        DType::I16 => of(values, shape, |value| value as i16),
        DType::I8 => of(values, shape, |value| value as i8),
        DType::U8 => of(values, shape, |value| value as u8),
    }
}

/// Values of an integer type: its ends, what is near them, zero, and in between.
fn integers(dtype: DType, len: usize, seed: u64) -> Vec<f64> {
    let (least, greatest) = range(dtype);
    let notable = [least, least + 1, -1, 0, 1, 2, 3, greatest / 2, greatest - 1, greatest];
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = least + ((state >> 20) as i64).rem_euclid(greatest - least + 1);
            let value = if state >> 60 < 8 { notable[(state >> 33) as usize % notable.len()] } else { random };
            value.clamp(least, greatest) as f64
        })
        .collect()
}

/// Floats that the type has, and for f32 ones between those of the others.
fn floats(dtype: DType, len: usize) -> Vec<f64> {
    let notable =
        [0.0, -0.0, 1.0, -2.5, 65504.0, 65520.0, 1e-7, -6e-8, 3e38, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let values = (0..len).map(|i| if i % 3 == 0 { notable[i % notable.len()] } else { (i as f64 - 500.0) * 0.37 });
    let rounded = |value: f64| match dtype {
        DType::F32 => f64::from(value as f32),
        DType::Bf16 => bf16::from_f64(value).to_f64(),
        _ => f16::from_f64(value).to_f64(),
    };
    values.map(rounded).collect()
}

/// The result of an op, the same in both modes.
fn call(name: &str, operands: &[&Tensor]) -> Tensor {
    let op = gpsimd_tests::library(&element_ops::OP_LIBRARY).op(name).expect("the op");
    let views: Vec<TensorView<'_>> = operands.iter().map(|tensor| tensor.view()).collect();
    let [checked, fast] = [Mode::Checked, Mode::Fast].map(|mode| {
        let engine = Engine::builder().mode(mode).threads(2).build().expect("an engine");
        engine.call(&op, &views, &[]).unwrap_or_else(|error| panic!("{name}: {error}"))
    });
    assert_eq!(checked.bytes(), fast.bytes(), "{name}: modes differ");
    checked
}

fn lengths() -> Vec<usize> {
    let all = [0, 1, 15, 64, 1000, 13_001];
    all[..if cases(100) < 100 { 5 } else { 6 }].to_vec()
}

#[track_caller]
fn assert_values(what: &str, found: &Tensor, expected: impl Iterator<Item = f64>) {
    let found = values(found);
    let expected: Vec<_> = expected.collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let same = found == expected || (found.is_nan() && expected.is_nan());
        assert!(same, "{what}: element {i} is {found}, expected {expected}");
    }
}

fn wrapped(value: i64, dtype: DType) -> f64 {
    let (least, greatest) = range(dtype);
    ((value - least).rem_euclid(greatest - least + 1) + least) as f64
}

fn saturated(value: i64, dtype: DType) -> i64 {
    let (least, greatest) = range(dtype);
    value.clamp(least, greatest)
}

#[test]
fn integers_wrap_and_saturate_as_their_methods_say() {
    for dtype in INTEGERS {
        for len in lengths() {
            let (a, b) = (integers(dtype, len, 1), integers(dtype, len, 2));
            let (x, y) = (tensor(dtype, &a, &[len]), tensor(dtype, &b, &[len]));
            let pairs = || a.iter().zip(&b).map(|(x, y)| (*x as i64, *y as i64));
            let wrapping = call("wrapping", &[&x, &y]);
            assert_values("wrapping", &wrapping, pairs().map(|(x, y)| wrapped(x * y + x, dtype)));
            let saturating = call("saturating", &[&x, &y]);
            let expected = pairs().map(|(x, y)| {
                let (sum, product) = (saturated(x + y, dtype), saturated(x * y, dtype));
                saturated(sum - product, dtype) as f64
            });
            assert_values("saturating", &saturating, expected);
        }
    }
}

#[test]
fn every_type_compares_with_zero() {
    for dtype in DType::ALL {
        for len in lengths() {
            let a = if FLOATS.contains(&dtype) { floats(dtype, len) } else { integers(dtype, len, 3) };
            let relu = call("relu", &[&tensor(dtype, &a, &[len])]);
            assert_values(dtype.name(), &relu, a.iter().map(|x| if *x > 0.0 { *x } else { 0.0 }));
        }
    }
}

#[test]
fn every_type_becomes_the_nearest_f32() {
    for dtype in DType::ALL {
        for len in lengths() {
            let a = if FLOATS.contains(&dtype) { floats(dtype, len) } else { integers(dtype, len, 4) };
            let widened = call("widened", &[&tensor(dtype, &a, &[len])]);
            assert_values(dtype.name(), &widened, a.iter().map(|x| f64::from(*x as f32)));
        }
    }
}

#[test]
fn f32_becomes_the_nearest_value_of_every_type() {
    for dtype in DType::ALL {
        for len in lengths() {
            let a: Vec<f64> = floats(DType::F32, len).iter().map(|x| f64::from((*x / 7.3) as f32)).collect();
            let (x, like) = (tensor(DType::F32, &a, &[len]), tensor(dtype, &vec![0.0; len], &[len]));
            let narrowed = call("narrowed", &[&x, &like]);
            let expected = a.iter().map(|x| match dtype {
                DType::F32 => *x,
                DType::Bf16 => bf16::from_f32(*x as f32).to_f64(),
                DType::F16 => f16::from_f32(*x as f32).to_f64(),
                _ if x.is_nan() => 0.0,
                _ => {
                    let (least, greatest) = range(dtype);
                    x.round_ties_even().clamp(least as f64, greatest as f64)
                }
            });
            assert_values(dtype.name(), &narrowed, expected);
        }
    }
}

#[test]
fn two_type_parameters_are_chosen_apart() {
    for float in FLOATS {
        for integer in INTEGERS {
            let len = 333;
            let (a, b) = (floats(float, len), integers(integer, len, 5));
            let masked = call("masked", &[&tensor(float, &a, &[len]), &tensor(integer, &b, &[len])]);
            let expected = a.iter().zip(&b).map(|(x, n)| if *n > 0.0 { *x } else { 0.0 });
            assert_values(&format!("{} and {}", float.name(), integer.name()), &masked, expected);
        }
    }
}

#[test]
fn rows_of_integers_are_summed_in_i32() {
    for dtype in INTEGERS {
        for (rows, columns) in [(1, 1), (3, 7), (9, 64), (2, 5000)] {
            let a = integers(dtype, rows * columns, 6);
            let centred = call("centred", &[&tensor(dtype, &a, &[rows, columns])]);
            let expected = a.chunks(columns).flat_map(|row| {
                let sum: i64 = row.iter().map(|x| *x as i64).sum();
                let least = row.iter().fold(f64::INFINITY, |least, x| least.min(*x)) as i64;
                row.iter().map(move |x| wrapped(*x as i64 - least + sum, DType::I32)).collect::<Vec<_>>()
            });
            assert_values(dtype.name(), &centred, expected);
        }
    }
}

#[test]
fn an_operand_of_a_type_outside_its_family_is_an_error() {
    let op = gpsimd_tests::library(&element_ops::OP_LIBRARY).op("masked").expect("the op");
    let engine = Engine::builder().build().expect("an engine");
    let (x, n) = (tensor(DType::F16, &[1.0], &[1]), tensor(DType::F32, &[1.0], &[1]));
    let error = engine.call(&op, &[x.view(), n.view()], &[]).unwrap_err();
    insta::assert_snapshot!(error, @"op `masked`: operand `n` is f32, expected i32, i16, i8 or u8");
    let error = engine.call(&op, &[n.view(), x.view()], &[]).unwrap_err();
    insta::assert_snapshot!(error, @"op `masked`: operand `n` is f16, expected i32, i16, i8 or u8");
}
