//! [`compare`]: what two launches of an op on the same operands must have in common.

use std::ops::Range;

use gpsimd_emulator::gpsimd_descriptor::OutputDescriptor;
use gpsimd_emulator::{DType, LaunchError, Misuse, OperandError, Tensor, bf16, f16};

use super::finding::Finding;
use super::launcher::Outcome;
use crate::replay::Setting;

/// What the SDK says when a kernel asks for chunks of rows of which not one fits: `Share::chunks`.
const NO_ROOM: &str = "not one row fits in the TCM that is left";

/// What a launch came to.
enum Result<'a> {
    Outputs(&'a [Tensor]),
    /// The op refuses its operands: its right, if it does so always.
    Refused(String),
    /// There is not enough TCM.
    Exhausted(&'a LaunchError),
    /// The kernel or the shape function is wrong.
    Wrong(&'a LaunchError),
}

impl<'a> Result<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        match outcome {
            Ok(outputs) => Self::Outputs(outputs),
            Err(
                error @ LaunchError::Operands(OperandError::ShapePanicked { .. } | OperandError::ShapeBroken { .. }),
            ) => Self::Wrong(error),
            Err(error @ LaunchError::Kernel(kernel)) => match &kernel.misuse {
                Misuse::Refused { message } => Self::Refused(message.clone()),
                Misuse::TcmExhausted { .. } => Self::Exhausted(error),
                Misuse::Panicked { message } if message.contains(NO_ROOM) => Self::Exhausted(error),
                _ => Self::Wrong(error),
            },
            Err(error) => Self::Refused(error.to_string()),
        }
    }
}

/// What is wrong with a launch by itself.
pub(crate) fn judge(outcome: &Outcome, setting: &Setting) -> Option<Finding> {
    match Result::of(outcome) {
        Result::Wrong(error) => Some(Finding::of_error(error, setting)),
        // With as much as the device has, every operand that the shape function takes must fit.
        Result::Exhausted(error) if setting.tcm_bytes.is_none() => Some(Finding::of_error(error, setting)),
        _ => None,
    }
}

/// What is wrong with `other`, or differs between it and `reference`, of which nothing is wrong.
///
/// Every NaN counts as the same one: which of two NaNs an addition passes on is the processor's choice. What an op refuses
/// may depend on the size of the TCM pool, and on nothing else.
pub(crate) fn compare(
    outputs: &[OutputDescriptor],
    (reference, reference_setting): (&Outcome, &Setting),
    (other, setting): (&Outcome, &Setting),
) -> Option<Finding> {
    if let Some(finding) = judge(other, setting) {
        return Some(finding);
    }
    let settings = || vec![reference_setting.clone(), setting.clone()];
    let finding = |kind: &str, message: String| {
        Some(Finding { judge: super::SETTINGS, kind: kind.into(), message, settings: settings(), at: None })
    };
    let has_another_pool = setting.tcm_bytes != reference_setting.tcm_bytes;
    match (Result::of(reference), Result::of(other)) {
        (Result::Outputs(expected), Result::Outputs(found)) => {
            let mut pairs = outputs.iter().zip(expected.iter().zip(found));
            let difference =
                pairs.find_map(|(output, (expected, found))| Difference::of(&output.name, expected, found))?;
            finding("Differs", difference.to_string())
        }
        (Result::Refused(expected), Result::Refused(found)) if expected == found || has_another_pool => None,
        (Result::Refused(expected), Result::Refused(found)) => {
            finding("Refusal", format!("it refuses its operands in other words: \"{found}\", not \"{expected}\""))
        }
        _ if has_another_pool => None,
        (Result::Outputs(_), Result::Refused(found)) => {
            finding("Refused", format!("it refuses operands that it takes otherwise: {found}"))
        }
        (Result::Refused(expected), Result::Outputs(_)) => {
            finding("Taken", format!("it takes operands that it refuses otherwise: {expected}"))
        }
        (Result::Exhausted(_) | Result::Wrong(_), _) | (_, Result::Exhausted(_) | Result::Wrong(_)) => None,
    }
}

/// Where two tensors differ.
struct Difference {
    output: String,
    /// From the first to the last element that differs.
    range: Range<usize>,
    /// How many differ.
    count: usize,
    len: usize,
    /// The first of them.
    expected: String,
    found: String,
}

impl Difference {
    fn of(name: &str, expected: &Tensor, found: &Tensor) -> Option<Self> {
        let (expected_bits, found_bits) = (bits(expected), bits(found));
        if expected.ty() != found.ty() {
            let (expected, found) = (expected.ty().to_string(), found.ty().to_string());
            return Some(Self { output: name.into(), range: 0..0, count: 0, len: 0, expected, found });
        }
        let mut differing =
            expected_bits.iter().zip(&found_bits).enumerate().filter(|(_, (a, b))| a != b).map(|(index, _)| index);
        let first = differing.next()?;
        let (mut last, mut count) = (first, 1);
        for index in differing {
            (last, count) = (index, count + 1);
        }
        let (expected, found) = (element(expected, first), element(found, first));
        Some(Self { output: name.into(), range: first..last + 1, count, len: expected_bits.len(), expected, found })
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { output, range, count, len, expected, found } = self;
        match count {
            0 => write!(f, "output `{output}` is {found}, not {expected}"),
            1 => write!(f, "element {} of output `{output}`, of {len}, is {found}, not {expected}", range.start),
            _ => write!(
                f,
                "{count} of {len} elements of output `{output}` differ, in {range:?}: the first is {found}, not {expected}"
            ),
        }
    }
}

/// The bits of every element, of NaNs the same ones.
fn bits(tensor: &Tensor) -> Vec<u32> {
    fn of<T: Copy>(elements: std::result::Result<&[T], gpsimd_emulator::TensorError>, bits: fn(T) -> u32) -> Vec<u32> {
        elements.map(|elements| elements.iter().map(|element| bits(*element)).collect()).unwrap_or_default()
    }
    match tensor.ty().dtype() {
        DType::F32 => of(tensor.as_slice(), |x: f32| if x.is_nan() { f32::NAN } else { x }.to_bits()),
        DType::Bf16 => of(tensor.as_slice(), |x: bf16| if x.is_nan() { bf16::NAN } else { x }.to_bits().into()),
        DType::F16 => of(tensor.as_slice(), |x: f16| if x.is_nan() { f16::NAN } else { x }.to_bits().into()),
        DType::I32 => of(tensor.as_slice(), i32::cast_unsigned),
        DType::I16 => of(tensor.as_slice(), |x: i16| x.cast_unsigned().into()),
        DType::I8 => of(tensor.as_slice(), |x: i8| x.cast_unsigned().into()),
        DType::U8 => of(tensor.as_slice(), |x: u8| x.into()),
    }
}

/// An element in words; a float with its bits.
pub(crate) fn element(tensor: &Tensor, index: usize) -> String {
    fn at<T: Copy>(elements: std::result::Result<&[T], gpsimd_emulator::TensorError>, index: usize) -> Option<T> {
        elements.ok()?.get(index).copied()
    }
    let shown = match tensor.ty().dtype() {
        DType::F32 => at(tensor.as_slice::<f32>(), index).map(|x| format!("{x:?} (bits {:08x})", x.to_bits())),
        DType::Bf16 => at(tensor.as_slice::<bf16>(), index).map(|x| format!("{x:?} (bits {:04x})", x.to_bits())),
        DType::F16 => at(tensor.as_slice::<f16>(), index).map(|x| format!("{x:?} (bits {:04x})", x.to_bits())),
        DType::I32 => at(tensor.as_slice::<i32>(), index).map(|x| x.to_string()),
        DType::I16 => at(tensor.as_slice::<i16>(), index).map(|x| x.to_string()),
        DType::I8 => at(tensor.as_slice::<i8>(), index).map(|x| x.to_string()),
        DType::U8 => at(tensor.as_slice::<u8>(), index).map(|x| x.to_string()),
    };
    shown.unwrap_or_default()
}
