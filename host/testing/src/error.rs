//! [`error_in_ulps`]: how far a result is from what is exact.

use gpsimd_emulator::{DType, Tensor, bf16, f16};

/// The largest error of `result` against the `exact` elements, in units of the last place of its element type. Infinite when
/// an element is NaN or infinite where the exact one is not, or the other way round.
///
/// # Panics
/// When there are not as many exact elements as the result has, or it has integers.
#[track_caller]
pub fn error_in_ulps(result: &Tensor, exact: impl IntoIterator<Item = f64>) -> f64 {
    // Bits of the significand, and the exponent of the smallest number.
    let (found, digits, smallest): (Vec<f64>, i32, i32) = match result.ty().dtype() {
        DType::F32 => (elements(result.as_slice::<f32>(), |x| f64::from(*x)), 24, -149),
        DType::Bf16 => (elements(result.as_slice::<bf16>(), |x| f64::from(*x)), 8, -133),
        DType::F16 => (elements(result.as_slice::<f16>(), |x| f64::from(*x)), 11, -24),
        dtype => panic!("expected a result of floats, found {}", dtype.name()),
    };
    let exact: Vec<f64> = exact.into_iter().collect();
    assert_eq!(found.len(), exact.len(), "elements of the result, and exact ones");
    let error = |(found, exact): (&f64, &f64)| {
        if found == exact || (found.is_nan() && exact.is_nan()) {
            return 0.0;
        }
        let exponent = if *exact == 0.0 { smallest } else { exact.abs().log2().floor() as i32 + 1 - digits };
        let error = (found - exact).abs() / f64::from(exponent.max(smallest)).exp2();
        if error.is_finite() { error } else { f64::INFINITY }
    };
    found.iter().zip(&exact).map(error).fold(0.0, f64::max)
}

fn elements<T, E: std::fmt::Debug>(slice: Result<&[T], E>, as_f64: impl Fn(&T) -> f64) -> Vec<f64> {
    slice.expect("the dtype says what the elements are").iter().map(as_f64).collect()
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
}
