//! Places of values in sorted rows, against a count of the elements before them: exact, with the bits of every engine.

use gpsimd_testing::gpsimd_emulator::{Element, random_bits};
use gpsimd_testing::{DType, Ops, Tensor, bf16, cases, f16};
use sort_ops::OP_LIBRARY;

/// The place of a number in the order of a sort: every NaN above infinity, zeros equal.
trait Ordered: Element {
    fn place(self) -> f64;
    fn of_bits(bits: u64) -> Self;
}

macro_rules! ordered {
    (floats: $($F:ident $to:expr, $from:expr);+) => {$(
        impl Ordered for $F {
            fn place(self) -> f64 {
                let x: f32 = $to(self);
                if x.is_nan() { f64::MAX } else if x.is_infinite() { f64::from(x.signum()) * 1e300 } else { f64::from(x) }
            }

            fn of_bits(bits: u64) -> Self {
                let notable = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN];
                $from(match (bits % 61) as usize {
                    i if i < notable.len() => notable[i],
                    i if i < 30 => f32::from((bits >> 56) as i8) * 0.25,
                    _ => (bits >> 32) as i32 as f32 * 1e-7,
                })
            }
        }
    )+};
    (integers: $($I:ident)+) => {$(
        impl Ordered for $I {
            fn place(self) -> f64 {
                f64::from(self)
            }

            fn of_bits(bits: u64) -> Self {
                match bits % 5 {
                    0 => $I::MIN,
                    1 => $I::MAX,
                    _ => (bits >> 32) as $I,
                }
            }
        }
    )+};
}

ordered! { floats: f32 |x: f32| x, |x: f32| x; bf16 bf16::to_f32, bf16::from_f32; f16 f16::to_f32, f16::from_f32 }
ordered! { integers: i32 i16 i8 u8 }

/// `rows` of `len` sorted elements, and `values` of each; one row for all values where `rows` is 0.
fn verify<T: Ordered>(ops: &Ops, rows: usize, len: usize, values: usize, seed: u64) {
    let bits: Vec<T> = random_bits(seed).map(T::of_bits).take(rows.max(1) * (len + values)).collect();
    let (sorted, wanted) = bits.split_at(rows.max(1) * len);
    let mut sorted = sorted.to_vec();
    for row in sorted.chunks_mut(len.max(1)) {
        row.sort_by(|a, b| a.place().total_cmp(&(b.place() + 0.0)));
    }
    let shape = |len| if rows == 0 { vec![len] } else { vec![rows, len] };
    let of_sorted = Tensor::from_vec(sorted.clone(), &shape(len)).unwrap();
    let of_values = Tensor::from_vec(wanted.to_vec(), &shape(values)).unwrap();
    for right in [false, true] {
        let [found] = ops.run_everywhere("searchsorted", &[&of_sorted, &of_values], &[right.into()]);
        assert_eq!(found.ty().dtype(), DType::I32);
        for (i, (found, value)) in found.as_slice::<i32>().unwrap().iter().zip(wanted).enumerate() {
            let row = &sorted[i / values * len..][..len];
            let place = value.place();
            let before = row.partition_point(|x| if right { x.place() <= place } else { x.place() < place });
            assert_eq!(*found, before as i32, "value {i} among {len}, right: {right}");
        }
    }
}

#[test]
fn values_are_found_in_rows_of_every_length() {
    let ops = Ops::of(&OP_LIBRARY);
    let lengths: &[usize] =
        if cases(100) < 100 { &[0, 1, 700] } else { &[0, 1, 2, 3, 15, 16, 17, 200, 950, 1024, 3000] };
    for len in lengths {
        verify::<f32>(&ops, 0, *len, 300, *len as u64);
        verify::<i32>(&ops, 3, *len, 45, *len as u64 + 1);
        verify::<f32>(&ops, 2, *len, 1, *len as u64 + 2);
    }
}

#[test]
fn every_element_type_is_found() {
    let ops = Ops::of(&OP_LIBRARY);
    verify::<bf16>(&ops, 2, 600, 50, 1);
    verify::<f16>(&ops, 2, 600, 50, 2);
    verify::<i16>(&ops, 2, 600, 50, 3);
    verify::<i8>(&ops, 2, 600, 50, 4);
    verify::<u8>(&ops, 2, 600, 50, 5);
}

#[test]
fn no_values_are_found_nowhere() {
    let ops = Ops::of(&OP_LIBRARY);
    verify::<f32>(&ops, 0, 5, 0, 1);
    verify::<f32>(&ops, 3, 5, 0, 1);
}

#[test]
fn values_are_found_among_a_million() {
    if cases(100) == 100 {
        verify::<f32>(&Ops::of(&OP_LIBRARY), 0, 1_200_003, 70, 9);
    }
}

#[test]
fn rows_of_other_shapes_are_refused() {
    let ops = Ops::of(&OP_LIBRARY);
    let tensor = |shape: &[usize]| Tensor::from_vec(vec![0.0_f32; shape.iter().product()], shape).unwrap();
    let refused = |sorted: &[usize], values: &[usize]| {
        ops.try_run("searchsorted", &[&tensor(sorted), &tensor(values)], &[false.into()]).unwrap_err().to_string()
    };
    assert!(refused(&[2, 3], &[3, 3]).contains("`values`"), "{}", refused(&[2, 3], &[3, 3]));
    assert!(refused(&[2, 3], &[3]).contains("`values`"), "{}", refused(&[2, 3], &[3]));
    assert!(refused(&[], &[3]).contains("`sorted`"), "{}", refused(&[], &[3]));
}

/// Where a binary search of all of a row ends, whatever the row is.
fn end_of_search(row: &[f32], value: f32, right: bool) -> i32 {
    let (mut low, mut left) = (0, row.len());
    while left > 0 {
        let half = left.div_ceil(2);
        let element = row[low + half - 1].place();
        let goes_behind = if right { element <= value.place() } else { element < value.place() };
        low += if goes_behind { half } else { 0 };
        left /= 2;
    }
    low as i32
}

#[test]
fn in_a_row_that_is_not_sorted_the_search_ends_at_the_same_place_everywhere() {
    let ops = Ops::of(&OP_LIBRARY);
    for (len, values) in [(2, 5), (49, 17), (700, 300), (1025, 3), (5003, 40), (5003, 1000)] {
        let bits: Vec<f32> = random_bits(len as u64).map(f32::of_bits).take(len + values).collect();
        let (row, wanted) = bits.split_at(len);
        let [of_row, of_values] = [row, wanted].map(|part| Tensor::from_vec(part.to_vec(), &[part.len()]).unwrap());
        for right in [false, true] {
            let [found] = ops.run_everywhere("searchsorted", &[&of_row, &of_values], &[right.into()]);
            let expected: Vec<_> = wanted.iter().map(|value| end_of_search(row, *value, right)).collect();
            assert_eq!(found.as_slice::<i32>().unwrap(), expected, "{values} values in {len} elements, right: {right}");
        }
    }
}
