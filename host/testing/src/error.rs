//! [`error_in_ulps`], [`assert_within`]: how far a result is from what is exact.

use gpsimd_emulator::{DType, Tensor, bf16, f16};

/// The largest error of `result` against the `exact` elements, in units of the last place of its element type. Infinite when
/// an element is NaN or infinite where the exact one is not, or the other way round.
///
/// # Panics
/// When there are not as many exact elements as the result has, or it has integers.
#[track_caller]
pub fn error_in_ulps(result: &Tensor, exact: impl IntoIterator<Item = f64>) -> f64 {
    let (found, exact) = (values(result), exact.into_iter().collect::<Vec<_>>());
    assert_eq!(found.len(), exact.len(), "elements of the result, and exact ones");
    let dtype = result.ty().dtype();
    let error = |(found, exact): (&f64, &f64)| {
        let error = if is_same(*found, *exact) { 0.0 } else { (found - exact).abs() / unit(dtype, *exact) };
        if error.is_finite() { error } else { f64::INFINITY }
    };
    found.iter().zip(&exact).map(error).fold(0.0, f64::max)
}

/// Fails unless every element of `result` is within its bound of the exact one, and half a unit of the last place of its
/// element type: `exact` has a pair of both for each. NaN is exact for NaN alone, an infinity for itself.
///
/// # Panics
/// When one is not, or there are not as many exact elements as the result has, or it has integers.
#[track_caller]
pub fn assert_within(result: &Tensor, exact: impl IntoIterator<Item = (f64, f64)>) {
    let (found, exact) = (values(result), exact.into_iter().collect::<Vec<_>>());
    assert_eq!(found.len(), exact.len(), "elements of the result, and exact ones");
    for (i, (found, (exact, bound))) in found.into_iter().zip(exact).enumerate() {
        let bound = bound + unit(result.ty().dtype(), exact) / 2.0;
        let is_within = is_same(found, exact) || (found - exact).abs() <= bound;
        assert!(is_within, "element {i} is {found:e}, expected {exact:e}, give or take {bound:e}");
    }
}

/// The elements of a tensor of floats.
///
/// # Panics
/// When it has integers.
#[track_caller]
pub fn values(tensor: &Tensor) -> Vec<f64> {
    match tensor.ty().dtype() {
        DType::F32 => elements(tensor.as_slice::<f32>(), |x| f64::from(*x)),
        DType::Bf16 => elements(tensor.as_slice::<bf16>(), |x| f64::from(*x)),
        DType::F16 => elements(tensor.as_slice::<f16>(), |x| f64::from(*x)),
        dtype => panic!("expected a tensor of floats, found {}", dtype.name()),
    }
}

fn elements<T, E: std::fmt::Debug>(slice: Result<&[T], E>, as_f64: impl Fn(&T) -> f64) -> Vec<f64> {
    slice.expect("the dtype says what the elements are").iter().map(as_f64).collect()
}

fn is_same(found: f64, exact: f64) -> bool {
    found == exact || (found.is_nan() && exact.is_nan())
}

/// A unit of the last place of `exact`, in a type of floats; 0 of what is not finite.
fn unit(dtype: DType, exact: f64) -> f64 {
    // Bits of the significand, and the exponent of the smallest number.
    let (digits, smallest) = match dtype {
        DType::F32 => (24, -149),
        DType::Bf16 => (8, -133),
        _ => (11, -24),
    };
    if !exact.is_finite() {
        return 0.0;
    }
    let exponent = if exact == 0.0 { smallest } else { exact.abs().log2().floor() as i32 + 1 - digits };
    f64::from(exponent.max(smallest)).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(found: f32, exact: f64) -> f64 {
        error_in_ulps(&Tensor::from_vec(vec![found], &[1]).unwrap(), [exact])
    }

    #[test]
    fn the_unit_is_that_of_the_exact_result() {
        assert_eq!(error(1.0, 1.0), 0.0);
        assert_eq!(error(1.0 + f32::EPSILON, 1.0), 1.0);
        assert_eq!(error(2.0, 2.0 + f64::from(f32::EPSILON)), 0.5);
        assert_eq!(error(f32::from_bits(1), 0.0), 1.0);
        assert_eq!(error(f32::NAN, f64::NAN), 0.0);
        assert_eq!(error(f32::NAN, 1.0), f64::INFINITY);
        assert_eq!(error(f32::INFINITY, 1.0), f64::INFINITY);
        let half = Tensor::from_vec(vec![bf16::from_f32(1.0)], &[1]).unwrap();
        assert_eq!(error_in_ulps(&half, [1.0 + 1.0 / 128.0]), 1.0);
    }

    #[test]
    fn what_is_rounded_to_nearest_is_within_nothing() {
        let half = Tensor::from_vec(vec![bf16::from_f32(1.0), bf16::NAN], &[2]).unwrap();
        assert_within(&half, [(1.0 + 1.0 / 256.0, 0.0), (f64::NAN, 0.0)]);
    }

    #[test]
    #[should_panic(expected = "element 0 is 1e0, expected 1.5e0")]
    fn what_is_not_within_its_bound_is_refused() {
        assert_within(&Tensor::from_vec(vec![1.0_f32], &[1]).unwrap(), [(1.5, 0.25)]);
    }
}
