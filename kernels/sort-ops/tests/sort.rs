//! Rows sorted in runs and merged, against a stable sort by comparisons: exact, on the tier under test, with the bits of every
//! engine.

use std::cmp::Ordering;

use gpsimd_testing::gpsimd_emulator::{Element, Engine, LaunchError, Misuse, random_bits};
use gpsimd_testing::{Ops, Scalar, Tensor, bf16, cases, f16};
use sort_ops::{OP_LIBRARY, RUN};

/// A type that is sorted, and how `PyTorch` orders it: every NaN above infinity, zeros equal.
trait Sorted: Element {
    fn order(self, other: Self) -> Ordering;
    /// Some of these are special, and many are equal.
    fn of_bits(bits: u64) -> Self;
    fn bits(self) -> u32;
}

macro_rules! sorted {
    (floats: $($F:ident $to:expr, $from:expr);+) => {$(
        impl Sorted for $F {
            fn order(self, other: Self) -> Ordering {
                let (a, b) = ($to(self), $to(other));
                a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            }

            fn of_bits(bits: u64) -> Self {
                let notable = [0.0, -0.0, 1.5, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN];
                $from(match (bits % 61) as usize {
                    i if i < notable.len() => notable[i],
                    i if i < 30 => f32::from((bits >> 56) as i8) * 0.25,
                    _ => (bits >> 32) as i32 as f32 * 1e-7,
                })
            }

            fn bits(self) -> u32 {
                u32::from(self.to_bits())
            }
        }
    )+};
    (integers: $($I:ident)+) => {$(
        impl Sorted for $I {
            fn order(self, other: Self) -> Ordering {
                self.cmp(&other)
            }

            fn of_bits(bits: u64) -> Self {
                match bits % 5 {
                    0 => $I::MIN,
                    1 => $I::MAX,
                    _ => (bits >> 32) as $I,
                }
            }

            fn bits(self) -> u32 {
                self as u32
            }
        }
    )+};
}

sorted! { floats: f32 |x: f32| x, |x: f32| x; bf16 bf16::to_f32, bf16::from_f32; f16 f16::to_f32, f16::from_f32 }
sorted! { integers: i32 i16 i8 u8 }

fn sort(ops: &Ops, x: &Tensor, descending: bool) -> [Tensor; 2] {
    let len = *x.ty().shape().last().unwrap();
    let [mut values, mut indices] = ops.run_everywhere("sort_runs", &[x], &[descending.into()]);
    let mut run = RUN;
    while run < len {
        let scalars: [Scalar; 2] = [(run as u32).into(), descending.into()];
        [values, indices] = ops.run_everywhere("merge_runs", &[&values, &indices], &scalars);
        run *= 2;
    }
    [values, indices]
}

fn verify<T: Sorted>(ops: &Ops, x: &[T], len: usize, descending: bool) {
    let shape = [x.len() / len, len];
    let [values, indices] = sort(ops, &Tensor::from_vec(x.to_vec(), &shape).unwrap(), descending);
    let (values, indices) = (values.as_slice::<T>().unwrap(), indices.as_slice::<i32>().unwrap());
    for (row, x) in x.chunks(len).enumerate() {
        let mut expected: Vec<i32> = (0..len as i32).collect();
        expected.sort_by(|a, b| {
            let order = x[*a as usize].order(x[*b as usize]);
            if descending { order.reverse() } else { order }
        });
        let own = row * len..(row + 1) * len;
        assert_eq!(indices[own.clone()], expected, "row {row} of {len}, descending: {descending}");
        for (value, index) in values[own].iter().zip(expected) {
            assert_eq!(value.bits(), x[index as usize].bits(), "row {row} of {len}: the value of {index}");
        }
    }
}

fn verify_random<T: Sorted>(ops: &Ops, rows: usize, len: usize, seed: u64) {
    let x: Vec<T> = random_bits(seed).map(T::of_bits).take(rows * len).collect();
    for descending in [false, true] {
        verify(ops, &x, len, descending);
    }
}

/// Below a vector, whole runs and not, the second run of a pair short or none.
fn lengths() -> &'static [usize] {
    if cases(100) < 100 { &[1, 40, 257, 700] } else { &[1, 2, 31, 32, 33, 255, 256, 257, 511, 513, 700, 1025, 2600] }
}

#[test]
fn rows_of_every_length_are_sorted_stably() {
    let ops = Ops::of(&OP_LIBRARY);
    for len in lengths() {
        verify_random::<f32>(&ops, 3, *len, *len as u64);
        verify_random::<i32>(&ops, 2, *len, *len as u64 + 1);
    }
}

#[test]
fn every_element_type_is_sorted() {
    let ops = Ops::of(&OP_LIBRARY);
    verify_random::<bf16>(&ops, 2, 600, 1);
    verify_random::<f16>(&ops, 2, 600, 2);
    verify_random::<i16>(&ops, 2, 600, 3);
    verify_random::<i8>(&ops, 2, 600, 4);
    verify_random::<u8>(&ops, 2, 600, 5);
}

#[test]
fn equal_sorted_and_reversed_rows_are_sorted() {
    let (ops, len) = (Ops::of(&OP_LIBRARY), 1100);
    let rows: [fn(usize) -> f32; 4] = [|_| 1.0, |_| f32::NAN, |i| i as f32, |i| -(i as f32)];
    for row in rows {
        let x: Vec<f32> = (0..len).map(row).collect();
        verify(&ops, &x, len, false);
        verify(&ops, &x, len, true);
    }
}

#[test]
fn a_row_of_a_hundred_thousand_is_sorted() {
    if cases(100) == 100 {
        verify_random::<f32>(&Ops::of(&OP_LIBRARY), 1, 100_003, 9);
    }
}

#[test]
fn runs_of_no_elements_are_refused() {
    let ops = Ops::of(&OP_LIBRARY);
    let (values, indices) = (Tensor::from_vec(vec![1.0_f32], &[1]).unwrap(), Tensor::from_vec(vec![0], &[1]).unwrap());
    let error = ops.try_run("merge_runs", &[&values, &indices], &[0_u32.into(), false.into()]).unwrap_err();
    assert!(error.to_string().contains("`run`, the elements of a run, is 0"), "{error}");
}

/// What `merge_runs` says of runs, the same on 1 to 8 cores with pools of several sizes.
fn refusal(ops: &Ops, values: &Tensor, run: u32, descending: bool) -> String {
    let indices = Tensor::from_vec(vec![0; values.ty().len()], values.ty().shape()).unwrap();
    let merge = ops.library().op("merge_runs").unwrap();
    let of = |cores: usize, kib: usize| {
        let engine = Engine::builder().cores(cores).tcm_bytes(kib * 1024).build().unwrap();
        let result = engine.call_all(&merge, &[values.view(), indices.view()], &[run.into(), descending.into()]);
        match result {
            Err(LaunchError::Kernel(error)) => match error.misuse {
                Misuse::Refused { message } => message,
                other => panic!("{other:?}"),
            },
            other => panic!("{cores} cores, {kib} KiB: {:?}", other.map(|_| "nothing was refused")),
        }
    };
    let engines = [(8, 10), (1, 4), (2, 64), (3, 4), (5, 7), (7, 4)];
    let messages: Vec<_> = engines.iter().map(|(cores, kib)| of(*cores, *kib)).collect();
    assert!(messages.iter().all(|message| *message == messages[0]), "{messages:?}");
    messages[0].clone()
}

#[test]
fn runs_that_are_not_sorted_are_refused_with_the_first_element_out_of_order() {
    let ops = Ops::of(&OP_LIBRARY);
    let len = if cases(100) < 100 { 700 } else { 3000 };
    let sorted: Vec<f32> = (0..len).map(|i| (i % 100) as f32).collect();
    // In either run of a pair, at its ends, and where cores meet.
    for place in [1, 99, 101, 199, len / 2 + 1, len - 1] {
        let mut values = sorted.clone();
        values[place] = -1.0;
        let values = Tensor::from_vec(values, &[len]).unwrap();
        let expected =
            format!("element {place} of `values` is out of order: sorted, it is before element {}", place - 1);
        assert_eq!(refusal(&ops, &values, 100, false), expected);
    }
    let mut values: Vec<f32> = sorted.iter().map(|x| -x).collect();
    values[250] = f32::NAN;
    values[350] = f32::NAN;
    let expected = "element 250 of `values` is out of order: sorted, it is before element 249";
    assert_eq!(refusal(&ops, &Tensor::from_vec(values, &[2, len / 2]).unwrap(), 100, true), expected);
}

#[test]
fn every_order_that_is_none_is_refused() {
    let ops = Ops::of(&OP_LIBRARY);
    for seed in 0..cases(100) / 4 {
        let values: Vec<f32> = random_bits(seed.into()).map(f32::of_bits).take(600).collect();
        refusal(&ops, &Tensor::from_vec(values, &[2, 300]).unwrap(), 1 << (1 + seed % 10), seed % 2 == 0);
    }
}
