//! [`compare`]: results with those of the native tier, bit by bit, and in units of the last place.

use gpsimd_emulator::{DType, Tensor, bf16, f16};

use super::report::{Difference, Outcome};

/// An element as a message shows it, and where it is among all of its type that are finite, in their order: the distance of
/// two is the difference in units of the last place.
struct Element {
    bits: u64,
    place: Option<i64>,
    shown: String,
}

/// Compares the outputs of an op, which have these names. Every NaN counts as the same one: which of two NaNs an addition passes on
/// is the processor's choice.
pub(super) fn compare(names: &[&str], expected: &[Tensor], found: &[Tensor]) -> Outcome {
    let outputs = names.iter().zip(expected.iter().zip(found));
    let differences = outputs.filter_map(|(name, (expected, found))| difference(name, expected, found));
    // What is not a number is farther from one than any number.
    let worst = differences.max_by_key(|difference| difference.ulps.unwrap_or(u64::MAX));
    let elements = expected.iter().map(|output| output.ty().len()).sum();
    worst.map_or(Outcome::Equal { elements }, Outcome::Different)
}

fn difference(name: &str, expected: &Tensor, found: &Tensor) -> Option<Difference> {
    let ty = expected.ty();
    let width = ty.dtype().bytes();
    let pairs = expected.bytes().chunks_exact(width).zip(found.bytes().chunks_exact(width)).enumerate();
    let mut worst: Option<(u64, usize, Option<u64>, Element, Element)> = None;
    let mut differing = 0;
    for (index, (expected, found)) in pairs.filter(|(_, (expected, found))| expected != found) {
        let (expected, found) = (element(ty.dtype(), expected), element(ty.dtype(), found));
        if expected.place.is_none() && found.place.is_none() {
            continue;
        }
        differing += 1;
        let ulps = expected.place.zip(found.place).map(|(a, b)| a.abs_diff(b));
        let distance = ulps.unwrap_or(u64::MAX);
        if worst.as_ref().is_none_or(|worst| distance > worst.0) {
            worst = Some((distance, index, ulps, expected, found));
        }
    }
    let (_, index, ulps, expected, found) = worst?;
    let digits = 2 * width;
    Some(Difference {
        output: name.into(),
        elements: ty.len(),
        differing,
        ulps,
        at: place(index, ty.shape()),
        expected: format!("{} (0x{:0digits$x})", expected.shown, expected.bits),
        found: format!("{} (0x{:0digits$x})", found.shown, found.bits),
    })
}

/// Indices of an element.
fn place(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut at: Vec<usize> = shape
        .iter()
        .rev()
        .map(|size| {
            let here = index % size.max(&1);
            index /= size.max(&1);
            here
        })
        .collect();
    at.reverse();
    at
}

fn element(dtype: DType, bytes: &[u8]) -> Element {
    let bits = bytes.iter().rev().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let of_float = |value: f64, sign: u64| {
        // Both zeros are at 0; numbers below it count downwards.
        let magnitude = (bits & (sign - 1)) as i64;
        let place = (!value.is_nan()).then_some(if bits & sign == 0 { magnitude } else { -magnitude });
        Element { bits, place, shown: format!("{value:?}") }
    };
    let of_integer = |value: i64| Element { bits, place: Some(value), shown: value.to_string() };
    match dtype {
        DType::F32 => {
            let value = f32::from_bits(bits as u32);
            Element { shown: format!("{value:?}"), ..of_float(f64::from(value), 1 << 31) }
        }
        DType::Bf16 => of_float(bf16::from_bits(bits as u16).to_f64(), 1 << 15),
        DType::F16 => of_float(f16::from_bits(bits as u16).to_f64(), 1 << 15),
        DType::I32 => of_integer(i64::from(bits as u32 as i32)),
        DType::I16 => of_integer(i64::from(bits as u16 as i16)),
        DType::I8 => of_integer(i64::from(bits as u8 as i8)),
        DType::U8 => of_integer(bits as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(expected: &[f32], found: &[f32]) -> Outcome {
        let tensor = |numbers: &[f32]| Tensor::from_vec(numbers.to_vec(), &[numbers.len() / 2, 2]).unwrap();
        compare(&["y"], &[tensor(expected)], &[tensor(found)])
    }

    #[test]
    fn equal_bits_are_equal_and_so_are_any_two_nans() {
        assert_eq!(compared(&[1.0, f32::NAN], &[1.0, f32::from_bits(0xffc0_0001)]), Outcome::Equal { elements: 2 });
    }

    #[test]
    fn the_largest_difference_is_told_with_its_place() {
        let next = f32::from_bits(1.0_f32.to_bits() + 1);
        let Outcome::Different(found) = compared(&[1.0, 1.0, 2.0, -0.0], &[next, 1.0, 3.0, 0.0]) else { panic!() };
        assert_eq!((found.ulps, found.differing, found.elements), (Some(1 << 22), 3, 4));
        assert_eq!(found.at, [1, 0]);
        assert_eq!((found.expected.as_str(), found.found.as_str()), ("2.0 (0x40000000)", "3.0 (0x40400000)"));
    }

    #[test]
    fn zeros_of_both_signs_differ_by_no_unit() {
        let Outcome::Different(found) = compared(&[0.0, 0.0], &[0.0, -0.0]) else { panic!() };
        assert_eq!((found.ulps, found.at), (Some(0), vec![0, 1]));
    }

    #[test]
    fn around_zero_units_are_counted_through_it() {
        let (above, below) = (f32::from_bits(3), -f32::from_bits(2));
        let Outcome::Different(found) = compared(&[above, 0.0], &[below, 0.0]) else { panic!() };
        assert_eq!(found.ulps, Some(5));
    }

    #[test]
    fn what_is_not_a_number_is_the_largest_difference() {
        let Outcome::Different(found) = compared(&[1.0, 1.0], &[9.0, f32::NAN]) else { panic!() };
        assert_eq!((found.ulps, found.at), (None, vec![0, 1]));
        assert_eq!(found.found, "NaN (0x7fc00000)");
    }

    #[test]
    fn integers_differ_by_their_difference() {
        let tensor = |numbers: Vec<i8>| Tensor::from_vec(numbers, &[2]).unwrap();
        let outcome = compare(&["y"], &[tensor(vec![-128, 1])], &[tensor(vec![127, 1])]);
        let Outcome::Different(found) = outcome else { panic!() };
        assert_eq!((found.ulps, found.expected.as_str()), (Some(255), "-128 (0x80)"));
    }
}
