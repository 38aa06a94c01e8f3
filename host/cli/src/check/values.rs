//! [`Values`]: elements of drawn tensors.

use gpsimd_emulator::{DType, Tensor, TensorType};

use super::random::Random;

/// What the elements of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Values {
    /// From -4 to 4, with no pattern.
    Plain,
    /// From 0 to 1: probabilities, weights.
    Unit,
    /// Small integers, of which there are many equal ones, and whose sums are exact.
    Few,
    /// Denormal numbers.
    Denormal,
    /// Numbers whose squares or sums overflow.
    Huge,
    /// Plain, with NaN, infinities, and zeros of both signs among them.
    Special,
    /// 0, 1, 2, ..
    Ascending,
    /// The same everywhere.
    Constant,
    /// Any bits.
    Bits,
    /// From 0 to below a number: indices.
    Below(usize),
}

impl Values {
    /// Values for a tensor of this dtype, beside tensors with dimensions of these sizes.
    pub(crate) fn draw(dtype: DType, sizes: &[usize], random: &mut Random) -> Self {
        if is_float(dtype) {
            random.pick(&[
                Self::Plain,
                Self::Plain,
                Self::Plain,
                Self::Plain,
                Self::Plain,
                Self::Unit,
                Self::Unit,
                Self::Few,
                Self::Few,
                Self::Denormal,
                Self::Huge,
                Self::Special,
                Self::Ascending,
                Self::Constant,
            ])
        } else {
            let index = Self::Below(if sizes.is_empty() { 2 } else { random.pick(sizes) });
            random.pick(&[index, index, index, Self::Few, Self::Few, Self::Ascending, Self::Constant, Self::Bits])
        }
    }

    /// A tensor of such values.
    pub(crate) fn tensor(self, ty: TensorType, random: &mut Random) -> Tensor {
        if is_float(ty.dtype()) { self.floats(ty, random) } else { self.integers(ty, random) }
    }

    fn floats(self, ty: TensorType, random: &mut Random) -> Tensor {
        // The smallest normal number.
        let smallest = if ty.dtype() == DType::F16 { 2.0_f32.powi(-14) } else { f32::MIN_POSITIVE };
        let largest = if ty.dtype() == DType::F16 { 65504.0 } else { 3.0e38 };
        let constant = random.unit() * 4.0;
        let number = |index: usize| match self {
            Self::Plain | Self::Bits => random.unit() * 4.0,
            Self::Unit => random.unit().abs(),
            Self::Few => random.below(7) as f32 - 3.0,
            Self::Denormal => random.unit() * smallest,
            Self::Huge => random.unit() * largest,
            Self::Special => match random.below(12) {
                0 => f32::NAN,
                1 => f32::INFINITY,
                2 => f32::NEG_INFINITY,
                3 => 0.0,
                4 => -0.0,
                5 => largest,
                _ => random.unit() * 4.0,
            },
            Self::Ascending => index as f32,
            Self::Constant => constant,
            Self::Below(end) => random.below(end) as f32,
        };
        Tensor::of_numbers(ty, (0..ty.len()).map(number))
    }

    fn integers(self, ty: TensorType, random: &mut Random) -> Tensor {
        let constant = random.below(3) as i64;
        let number = |index: usize| match self {
            Self::Few | Self::Plain | Self::Unit => random.below(4) as i64,
            Self::Ascending => index as i64,
            Self::Constant => constant,
            Self::Below(end) => random.below(end) as i64,
            Self::Bits | Self::Denormal | Self::Huge | Self::Special => match random.below(8) {
                0 => i64::from(i32::MIN),
                1 => i64::from(i32::MAX),
                2 => -1,
                _ => random.bits() as i64,
            },
        };
        integers(ty, (0..ty.len()).map(number))
    }
}

/// A tensor of integers, of which the low bits are kept.
pub(crate) fn integers(ty: TensorType, numbers: impl Iterator<Item = i64>) -> Tensor {
    let size = ty.dtype().bytes();
    let mut tensor = Tensor::zeros(ty);
    for (to, number) in tensor.bytes_mut().chunks_exact_mut(size).zip(numbers) {
        to.copy_from_slice(&number.to_le_bytes()[..size]);
    }
    tensor
}

/// The elements of a tensor of integers.
pub(crate) fn as_integers(tensor: &Tensor) -> Vec<i64> {
    let dtype = tensor.ty().dtype();
    let number = |bytes: &[u8]| match (dtype, bytes) {
        (DType::I32, &[a, b, c, d]) => i64::from(i32::from_le_bytes([a, b, c, d])),
        (DType::I16, &[a, b]) => i64::from(i16::from_le_bytes([a, b])),
        (DType::I8, &[a]) => i64::from(a.cast_signed()),
        (_, bytes) => bytes.first().copied().map_or(0, i64::from),
    };
    tensor.bytes().chunks_exact(dtype.bytes()).map(number).collect()
}

/// The elements of a tensor.
pub(crate) fn numbers(tensor: &Tensor) -> Vec<f64> {
    if is_float(tensor.ty().dtype()) {
        gpsimd_testing::values(tensor)
    } else {
        as_integers(tensor).into_iter().map(|number| number as f64).collect()
    }
}

/// A tensor of numbers that are exact in its type, but for those that were rounded.
pub(crate) fn of_numbers(ty: TensorType, numbers: &[f64]) -> Tensor {
    match ty.dtype() {
        DType::F32 | DType::Bf16 | DType::F16 => Tensor::of_numbers(ty, numbers.iter().map(|number| *number as f32)),
        _ => integers(ty, numbers.iter().map(|number| *number as i64)),
    }
}

pub(crate) const fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::Bf16 | DType::F16)
}
