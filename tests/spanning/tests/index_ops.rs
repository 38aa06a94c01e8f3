//! The ops of `kernels/index-ops` on every tier and in both modes: selections and integers are those of plain Rust, to the
//! bit, floats those of float64 within a bound; whatever the size of the pool and the number of cores.

use std::cmp::Ordering;

use gpsimd::lanes;
use gpsimd_emulator::{DType, Element, Engine, Mode, Op, Scalar, Tensor, TensorType, TensorView, bf16, f16};
use gpsimd_tests::{cases, library};
use index_ops::OP_LIBRARY;
use proptest::prelude::*;

fn op(name: &str) -> Op {
    library(&OP_LIBRARY).op(name).expect("the op")
}

/// An engine as no device is, or as all are.
#[derive(Clone, Copy, Debug)]
struct Setup {
    cores: usize,
    threads: usize,
    tcm_bytes: usize,
    mode: Mode,
}

impl Setup {
    const DEVICE: Self = Self { cores: 8, threads: 2, tcm_bytes: 9984, mode: Mode::Checked };

    fn any() -> impl Strategy<Value = Self> {
        // Small pools first: in these no row fits.
        let tcm_bytes = prop_oneof![64..80_usize, 80..192_usize, Just(256_usize)].prop_map(|lines| lines * 64);
        let mode = prop_oneof![Just(Mode::Checked), Just(Mode::Fast)];
        (1..=8_usize, 1..=3_usize, tcm_bytes, mode).prop_map(|(cores, threads, tcm_bytes, mode)| Self {
            cores,
            threads,
            tcm_bytes,
            mode,
        })
    }

    #[track_caller]
    fn run<const N: usize>(self, name: &str, operands: &[&Tensor], scalars: &[Scalar]) -> [Tensor; N] {
        let Self { cores, threads, tcm_bytes, mode } = self;
        let engine = Engine::builder().cores(cores).threads(threads).tcm_bytes(tcm_bytes).mode(mode);
        let views: Vec<TensorView<'_>> = operands.iter().map(|operand| operand.view()).collect();
        let outputs = engine.build().expect("an engine").call_all(&op(name), &views, scalars);
        let outputs = outputs.unwrap_or_else(|error| panic!("{name}: {error}"));
        outputs.try_into().expect("as many outputs")
    }

    #[track_caller]
    fn one(self, name: &str, operands: &[&Tensor], scalars: &[Scalar]) -> Tensor {
        let [output] = self.run(name, operands, scalars);
        output
    }
}

/// Numbers without a pattern.
fn random(len: usize, seed: u64) -> Vec<i32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as i32
    };
    (0..len).map(next).collect()
}

/// Floats with ties, zeros of both signs, infinities and NaN of both signs.
fn floats(len: usize, seed: u64) -> Vec<f32> {
    let notable = [0.0, -0.0, 1.5, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN];
    let value = |bits: i32| match bits.rem_euclid(61) as usize {
        i if i < notable.len() => notable[i],
        i if i < 30 => (bits >> 24) as f32 * 0.25,
        _ => bits as f32 * 1e-7,
    };
    random(len, seed).into_iter().map(value).collect()
}

fn tensor<T: Element>(values: Vec<T>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape).expect("as many elements as the shape")
}

fn of<T: Element>(tensor: &Tensor) -> &[T] {
    tensor.as_slice().expect("the dtype")
}

/// The order of PyTorch's sort: NaN above all, zeros equal.
fn order(a: f32, b: f32) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// A type that rows are selected from, and how it compares.
trait Sorted: Element {
    fn order(a: &Self, b: &Self) -> Ordering;
    /// The same number, or NaN both.
    fn is(a: &Self, b: &Self) -> bool;
    fn from_bits(bits: i32, float: f32) -> Self;
}

macro_rules! sorted {
    (floats: $($F:ident $to:expr, $from:expr);+) => {$(
        impl Sorted for $F {
            fn order(a: &Self, b: &Self) -> Ordering {
                order($to(*a), $to(*b))
            }

            fn is(a: &Self, b: &Self) -> bool {
                let (a, b) = ($to(*a), $to(*b));
                a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
            }

            fn from_bits(_: i32, float: f32) -> Self {
                $from(float)
            }
        }
    )+};
    (integers: $($I:ident)+) => {$(
        impl Sorted for $I {
            fn order(a: &Self, b: &Self) -> Ordering {
                a.cmp(b)
            }

            fn is(a: &Self, b: &Self) -> bool {
                a == b
            }

            fn from_bits(bits: i32, _: f32) -> Self {
                if bits % 5 == 0 { $I::MIN } else { bits as $I }
            }
        }
    )+};
}

sorted! { floats: f32 |x: f32| x, |x: f32| x; bf16 bf16::to_f32, bf16::from_f32; f16 f16::to_f32, f16::from_f32 }
sorted! { integers: i32 i16 i8 u8 }

fn verify_topk<T: Sorted>(setup: Setup, (rows, columns): (usize, usize), k: usize, seed: u64) {
    let (bits, floats) = (random(rows * columns, seed), floats(rows * columns, seed + 1));
    let x: Vec<T> = bits.iter().zip(floats).map(|(bits, float)| T::from_bits(*bits, float)).collect();
    let [values, indices] = setup.run("topk", &[&tensor(x.clone(), &[rows, columns])], &[k.into()]);
    assert_eq!((values.ty().shape(), indices.ty().shape()), (&[rows, k][..], &[rows, k][..]));
    let (values, indices) = (of::<T>(&values), of::<i32>(&indices));
    for row in 0..rows {
        let x = &x[row * columns..(row + 1) * columns];
        let mut expected: Vec<i32> = (0..columns as i32).collect();
        // Stable.
        expected.sort_by(|a, b| T::order(&x[*b as usize], &x[*a as usize]));
        expected.truncate(k);
        assert_eq!(indices[row * k..(row + 1) * k], expected, "row {row} of {columns}, k = {k}");
        for (value, index) in values[row * k..].iter().zip(&expected) {
            assert!(T::is(value, &x[*index as usize]), "row {row} of {columns}: the value of {index}");
        }
    }
}

fn verify_topk_of(dtype: DType, setup: Setup, shape: (usize, usize), k: usize, seed: u64) {
    let verify = match dtype {
        DType::F32 => verify_topk::<f32>,
        DType::Bf16 => verify_topk::<bf16>,
        DType::F16 => verify_topk::<f16>,
        DType::I32 => verify_topk::<i32>,
        DType::I16 => verify_topk::<i16>,
        DType::I8 => verify_topk::<i8>,
        DType::U8 => verify_topk::<u8>,
    };
    verify(setup, shape, k, seed);
}

/// Lengths of rows: none, below a vector, whole vectors and not, longer than a pool.
fn any_len() -> impl Strategy<Value = usize> {
    prop_oneof![1 => 0..3_usize, 3 => 3..40_usize, 2 => 60..300_usize, 1 => 1000..6000_usize]
}

fn any_dtype() -> impl Strategy<Value = DType> {
    prop::sample::select(DType::ALL.to_vec())
}

/// The prefix sums in the order that `cumsum` documents.
fn prefix_sums(row: &[f32]) -> Vec<f32> {
    let (mut sums, mut before) = (Vec::new(), 0.0);
    for part in row.chunks(16 * 1024) {
        let mut part = part.to_vec();
        let mut sum = lanes::Lanes::splat(0.0);
        sum.fold(&part, |sum, x: f32| sum + x);
        lanes::cumsum(&mut part, before);
        before += sum.sum();
        sums.extend(part);
    }
    sums
}

fn reversed_rows<T: Copy>(x: &[T], columns: usize) -> Vec<T> {
    x.chunks(columns.max(1)).flat_map(|row| row.iter().rev().copied()).collect()
}

fn verify_cumsum(setup: Setup, (rows, columns): (usize, usize), reverse: bool, seed: u64) {
    let x: Vec<f32> = random(rows * columns, seed).into_iter().map(|x| x as f32 * 1e-6).collect();
    let shape = [rows, columns];
    let y = setup.one("cumsum", &[&tensor(x.clone(), &shape)], &[reverse.into()]);
    let turned = |x: &[f32]| if reverse { reversed_rows(x, columns) } else { x.to_vec() };
    let forward = turned(&x);
    let expected: Vec<f32> = forward.chunks(columns.max(1)).flat_map(prefix_sums).collect();
    let found = turned(of(&y));
    assert!(found.iter().map(|x| x.to_bits()).eq(expected.iter().map(|x| x.to_bits())), "{shape:?}: other bits");
    for (x, sums) in forward.chunks(columns.max(1)).zip(found.chunks(columns.max(1))) {
        let (mut sum, mut magnitude) = (0.0_f64, 0.0_f64);
        for (i, (x, found)) in x.iter().zip(sums).enumerate() {
            (sum, magnitude) = (sum + f64::from(*x), magnitude + f64::from(x.abs()));
            // An element has gone through a step for every 16 before it in its part or in the sum of one, and for every
            // part; 2^-24 is half a unit in the last place.
            let additions = 16.0 + (i.min(16 * 1024) as f64) / 16.0 + (i / (16 * 1024)) as f64;
            let bound = additions * magnitude * f64::from(f32::EPSILON) / 2.0;
            assert!((f64::from(*found) - sum).abs() <= bound, "{shape:?}, {i}: {found}, expected {sum} +- {bound}");
        }
    }
    let x = random(rows * columns, seed);
    let y = setup.one("cumsum", &[&tensor(x.clone(), &shape)], &[reverse.into()]);
    let turned = |x: &[i32]| if reverse { reversed_rows(x, columns) } else { x.to_vec() };
    let expected: Vec<i32> = turned(&x)
        .chunks(columns.max(1))
        .flat_map(|row| {
            row.iter().scan(0_i32, |sum, x| {
                *sum = sum.wrapping_add(*x);
                Some(*sum)
            })
        })
        .collect();
    assert_eq!(turned(of(&y)), expected, "{shape:?}: integers");
}

fn verify_nonzero(setup: Setup, x: &Tensor, is_nonzero: impl Fn(usize) -> bool) {
    let len = x.ty().shape().iter().product::<usize>();
    let [indices, count] = setup.run("nonzero", &[x], &[]);
    let mut expected: Vec<i32> = (0..len).filter(|i| is_nonzero(*i)).map(|i| i as i32).collect();
    assert_eq!(of::<i32>(&count), [expected.len() as i32]);
    expected.resize(len, -1);
    assert_eq!(of::<i32>(&indices), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(50)))]

    #[test]
    fn the_greatest_are_those_of_a_stable_sort(
        setup in Setup::any(), rows in 0..10_usize, columns in any_len(), part in 0.0..1.0_f64, dtype in any_dtype(),
        seed: u32,
    ) {
        let rows = if columns > 300 { rows.min(2) } else { rows };
        verify_topk_of(dtype, setup, (rows, columns), (part * (columns.min(60) + 1) as f64) as usize, seed.into());
    }

    #[test]
    fn the_gradient_of_the_greatest_goes_where_they_came_from(
        setup in Setup::any(), rows in 1..10_usize, columns in any_len(), part in 0.0..1.0_f64, seed: u32,
    ) {
        let k = (part * columns.min(400) as f64) as usize;
        let x = tensor(floats(rows * columns, seed.into()), &[rows, columns]);
        let mut expected = vec![0.0_f32; rows * columns];
        let dvalues: Vec<f32> = random(rows * k, 3).into_iter().map(|x| (x >> 20) as f32).collect();
        let mut indices = Vec::new();
        for row in 0..rows {
            // A permutation without a pattern, of which the first.
            let order = random(columns, u64::from(seed) + row as u64);
            let mut own: Vec<i32> = (0..columns as i32).collect();
            own.sort_by_key(|i| order[*i as usize]);
            for (i, column) in own[..k].iter().enumerate() {
                expected[row * columns + *column as usize] = dvalues[row * k + i];
            }
            indices.extend_from_slice(&own[..k]);
        }
        let operands = [&tensor(dvalues, &[rows, k]), &tensor(indices, &[rows, k]), &x];
        let dx = setup.one("topk_backward", &operands, &[]);
        prop_assert_eq!(of::<f32>(&dx), expected);
    }

    #[test]
    fn prefix_sums_have_the_documented_bits_and_error(
        setup in Setup::any(), rows in 0..12_usize, columns in any_len(), reverse: bool, seed: u32,
    ) {
        verify_cumsum(setup, (if columns > 300 { rows.min(3) } else { rows }, columns), reverse, seed.into());
    }

    #[test]
    fn what_is_not_0_is_found_in_order(
        setup in Setup::any(), len in any_len(), rarity in 1..200_i32, seed: u32, is_matrix: bool,
    ) {
        let bits = random(len, seed.into());
        let shape = if is_matrix { vec![1, len, 1] } else { vec![len] };
        let notable = [0.0, -0.0, f32::NAN, 1e-45];
        let values: Vec<f32> = bits
            .iter()
            .map(|bits| if bits % rarity == 0 { notable[(bits >> 8 & 3) as usize] } else { 0.0 })
            .collect();
        verify_nonzero(setup, &tensor(values.clone(), &shape), |i| values[i] != 0.0);
        let values: Vec<u8> = bits.iter().map(|bits| if bits % rarity == 0 { (bits >> 8) as u8 } else { 0 }).collect();
        verify_nonzero(setup, &tensor(values.clone(), &shape), |i| values[i] != 0);
    }
}

#[test]
fn many_are_selected_of_rows_of_every_length() {
    let is_short = cases(100) < 100;
    for (columns, k) in [(1, 1), (1024, 1024), (1500, 1000), (30_522, 64), (70_000, 8)] {
        if is_short && columns > 2000 {
            continue;
        }
        verify_topk::<f32>(Setup::DEVICE, (1, columns), k, 5);
    }
}

#[test]
fn rows_of_equals_and_sorted_rows_are_selected_from() {
    let columns = 3000;
    let rows: [fn(usize) -> f32; 5] = [|_| 1.0, |_| f32::NAN, |_| f32::NEG_INFINITY, |i| i as f32, |i| -(i as f32)];
    for row in rows {
        let x = tensor((0..columns).map(row).collect(), &[columns]);
        let is_ascending = row(1) > row(0);
        // Bounded from the beginning of the row, and not.
        for k in [1, 8, 60, 100] {
            let [_, indices] = Setup::DEVICE.run("topk", &[&x], &[(k as usize).into()]);
            let expected: Vec<i32> = (0..k).map(|i| if is_ascending { columns as i32 - 1 - i } else { i }).collect();
            assert_eq!(of::<i32>(&indices), expected);
        }
    }
}

#[test]
fn one_row_is_shared_by_the_cores() {
    let columns = if cases(100) < 100 { 20_000 } else { 150_001 };
    for reverse in [false, true] {
        for setup in [Setup::DEVICE, Setup { cores: 1, mode: Mode::Fast, ..Setup::DEVICE }] {
            verify_cumsum(setup, (1, columns), reverse, 6);
        }
    }
    let engine = Engine::builder().cores(8).build().expect("an engine");
    let x = tensor(vec![1.0_f32; 8 * 16 * 1024], &[8 * 16 * 1024]);
    let mut y = Tensor::zeros(x.ty());
    let launch =
        gpsimd_emulator::Launch { tensors: &[x.view()], scalars: &[false.into()], outputs: vec![y.view_mut()] };
    let report = engine.launch(&op("cumsum"), launch).expect("a launch");
    for core in &report.cores {
        assert_eq!(core.store_bytes, 4 + 4 * 16 * 1024, "a sum and a part for each core");
    }
}

#[test]
fn rows_of_several_parts_have_the_same_bits_whoever_has_them() {
    if cases(100) < 100 {
        return;
    }
    // Of nine rows each core has its own, of three they are shared.
    for rows in [3, 9] {
        for reverse in [false, true] {
            verify_cumsum(Setup::DEVICE, (rows, 40_000), reverse, 7);
        }
    }
}

#[test]
fn what_is_not_0_is_found_in_several_parts() {
    if cases(100) < 100 {
        return;
    }
    let len = 100_000;
    for rarity in [1, 7, 50_000, i32::MAX] {
        let bits = random(len, 9);
        let values: Vec<i32> = bits.iter().map(|bits| i32::from(bits % rarity == 0)).collect();
        let x = tensor(values.clone(), &[len / 1000, 1000]);
        for cores in [1, 3, 8] {
            verify_nonzero(Setup { cores, ..Setup::DEVICE }, &x, |i| values[i] != 0);
        }
    }
}

#[test]
fn narrow_types_are_summed_in_their_wide_one() {
    let x: Vec<f32> = floats(300, 1).into_iter().filter(|x| x.is_finite()).map(|x| (x * 4.0).round()).collect();
    let x = Tensor::of_numbers(TensorType::new(DType::Bf16, &[x.len()]).expect("a type"), x.iter().copied());
    let y = Setup::DEVICE.one("cumsum", &[&x], &[false.into()]);
    let mut sum = 0.0;
    let expected: Vec<bf16> = of::<bf16>(&x)
        .iter()
        .map(|x| {
            sum += x.to_f32();
            bf16::from_f32(sum)
        })
        .collect();
    assert!(of::<bf16>(&y).iter().zip(&expected).all(|(y, x)| y.to_f32() == x.to_f32()));
    let x: Vec<i8> = random(300, 2).into_iter().map(|x| x as i8).collect();
    let y = Setup::DEVICE.one("cumsum", &[&tensor(x.clone(), &[300])], &[false.into()]);
    let mut sum = 0_i8;
    let expected = x.iter().map(|x| {
        sum = sum.wrapping_add(*x);
        sum
    });
    assert!(expected.eq(of::<i8>(&y).iter().copied()));
}

#[test]
fn more_than_there_are_and_indices_of_nothing_are_errors() {
    let x = tensor(vec![1.0_f32; 3000], &[3000]);
    let engine = Engine::builder().build().expect("an engine");
    let refused = |name, operands: &[TensorView<'_>], scalars: &[Scalar]| {
        engine.call_all(&op(name), operands, scalars).expect_err("refused").to_string()
    };
    insta::assert_snapshot!(refused("topk", &[x.view()], &[3001_usize.into()]), @"op `topk`: k is larger than the last dimension of x");
    insta::assert_snapshot!(refused("topk", &[x.view()], &[1025_usize.into()]), @"op `topk`: k is larger than 1024, for which there is no room in TCM");
    let (dvalues, indices) = (tensor(vec![1.0_f32; 2], &[2]), tensor(vec![3, 3000], &[2]));
    let message = refused("topk_backward", &[dvalues.view(), indices.view(), x.view()], &[]);
    insta::assert_snapshot!(gpsimd_tests::without_lines(message), @"op `topk_backward`, core 0, at kernels/index-ops/src/topk.rs:LINE: index 3000, element 1 of `indices`, is out of range: there are 3000 to choose from");
}
