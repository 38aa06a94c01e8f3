//! [`Reference`]: whether an op computes what its reference does, a function in f64, in Python or Rust.

mod process;

use anyhow::{bail, ensure};
use gpsimd_emulator::gpsimd_descriptor::{self, OpDescriptor, OperandKind, ReturnedType};
use gpsimd_emulator::{DType, F64Tensor, Scalar, Tensor, bf16, f16};

pub(crate) use self::process::Process;
use self::process::{Expected, Numbers, Returned, Tolerance};
use super::comparison::element;
use super::finding::Finding;
use super::judge::{Case, Judge};
use super::launcher::Launcher;
use super::values;
use crate::replay::Setting;

const NAME: &str = "reference";

/// Floats for which the tolerance is made: with larger ones, what an op sums up may cancel.
const LARGEST: f64 = 1e3;

/// Compares ops with the references that they name.
#[derive(Default)]
pub(crate) struct Reference {
    comparisons: u64,
    /// Whether there is no Python with `PyTorch`.
    is_missing: bool,
}

impl Judge for Reference {
    fn name(&self) -> &'static str {
        NAME
    }

    fn comparisons(&self) -> u64 {
        self.comparisons
    }

    fn note(&self, op: &OpDescriptor) -> Option<String> {
        let function = op.reference.as_ref()?.name();
        Some(match self.comparisons {
            _ if self.is_missing => format!(
                "not compared with its reference `{function}`: no Python with PyTorch was found (looked in .venv, $VIRTUAL_ENV and \
                 the system's Python); install it with `pip install torch`"
            ),
            0 => format!(
                "not compared with its reference `{function}`: no floats that were drawn are all below {LARGEST}"
            ),
            count => format!("compared with its reference `{function}` on {count} operands"),
        })
    }

    fn again(
        &mut self,
        launcher: &mut Launcher,
        case: &Case<'_>,
        settings: &[Setting],
    ) -> anyhow::Result<Option<Finding>> {
        // It shows in the first setting: no other is simpler.
        if settings != [Setting::REFERENCE] {
            return Ok(None);
        }
        let (Some(reference), Ok(outputs)) = (&case.op.descriptor().reference, case.reference) else { return Ok(None) };
        if !is_moderate(case) {
            return Ok(None);
        }
        let function = reference.name();
        let returned = match reference {
            gpsimd_descriptor::Reference::Python(_) => {
                let Some(process) = launcher.references()? else {
                    self.is_missing = true;
                    return Ok(None);
                };
                process.call(function, case.op.descriptor(), case.operands)?
            }
            gpsimd_descriptor::Reference::Rust { tolerance, .. } => match in_rust(case, outputs) {
                Ok(outputs) => {
                    let tolerance = tolerance.map(|(relative, absolute)| Tolerance { relative, absolute });
                    Returned { outputs, tolerance }
                }
                Err(error) => bail!("the reference `{function}` of op `{}` failed: {error}", case.op.name()),
            },
        };
        ensure!(
            returned.outputs.len() == outputs.len(),
            "the reference `{function}` of op `{}` returned {} tensors, expected one for each output: {}",
            case.op.name(),
            returned.outputs.len(),
            outputs.len()
        );
        self.comparisons += 1;
        for ((descriptor, output), expected) in case.op.outputs().iter().zip(outputs).zip(&returned.outputs) {
            let is_bool = descriptor.returned == Some(ReturnedType::Bool);
            if let Some(difference) = difference(output, expected, returned.tolerance, is_bool) {
                let message = format!(
                    "output `{}` is not what the reference `{function}` returns: {difference}",
                    descriptor.name
                );
                let settings = vec![Setting::REFERENCE];
                return Ok(Some(Finding { judge: NAME, kind: "Reference".into(), message, settings, at: None }));
            }
        }
        Ok(None)
    }
}

/// What the Rust function returns that an op names.
fn in_rust(case: &Case<'_>, outputs: &[Tensor]) -> Result<Vec<Expected>, String> {
    let number = |number| F64Tensor { shape: Vec::new(), elements: vec![number] };
    let (mut tensors, mut scalars) = (case.operands.tensors.iter(), case.operands.scalars.iter());
    let mut operands = Vec::new();
    for operand in &case.op.descriptor().operands {
        operands.extend(match operand.kind {
            OperandKind::Tensor(_) => tensors
                .next()
                .map(|tensor| F64Tensor { shape: tensor.ty().shape().to_vec(), elements: values::numbers(tensor) }),
            OperandKind::Scalar(_) | OperandKind::Size => scalars.next().map(|scalar| {
                number(match *scalar {
                    Scalar::F32(value) => value.into(),
                    Scalar::I32(value) => value.into(),
                    Scalar::U32(value) => value.into(),
                    Scalar::Bool(value) => value.into(),
                    Scalar::Size(value) => value as f64,
                })
            }),
        });
    }
    let mut expected: Vec<_> = outputs.iter().map(|output| F64Tensor::zeros(output.ty().shape())).collect();
    case.op.reference(&mut operands, &mut expected)?;
    let of_output = |(F64Tensor { shape, elements }, output): (F64Tensor, &Tensor)| {
        let is_float = values::is_float(output.ty().dtype());
        let whole = || elements.iter().map(|number| *number as i64).collect();
        if !is_float && let Some(number) = elements.iter().find(|number| number.fract() != 0.0) {
            return Err(format!("it returns {number} for an output of integers"));
        }
        Ok(Expected { shape, numbers: if is_float { Numbers::Floats(elements) } else { Numbers::Integers(whole()) } })
    };
    expected.into_iter().zip(outputs).map(of_output).collect()
}

/// Whether no float is huge, infinite or NaN.
fn is_moderate(case: &Case<'_>) -> bool {
    let is_moderate = |x: f64| x.abs() <= LARGEST;
    let scalars = case.operands.scalars.iter();
    case.operands.tensors.iter().all(|tensor| floats(tensor).is_none_or(|floats| floats.into_iter().all(is_moderate)))
        && scalars.copied().all(|scalar| if let Scalar::F32(x) = scalar { is_moderate(x.into()) } else { true })
}

/// The elements of a tensor of floats.
fn floats(tensor: &Tensor) -> Option<Vec<f64>> {
    let ok = "the dtype was looked at";
    Some(match tensor.ty().dtype() {
        DType::F32 => tensor.as_slice::<f32>().expect(ok).iter().map(|x| f64::from(*x)).collect(),
        DType::Bf16 => tensor.as_slice::<bf16>().expect(ok).iter().map(|x| f64::from(*x)).collect(),
        DType::F16 => tensor.as_slice::<f16>().expect(ok).iter().map(|x| f64::from(*x)).collect(),
        _ => return None,
    })
}

fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    let ok = "the dtype was looked at";
    Some(match tensor.ty().dtype() {
        DType::I32 => tensor.as_slice::<i32>().expect(ok).iter().map(|x| i64::from(*x)).collect(),
        DType::I16 => tensor.as_slice::<i16>().expect(ok).iter().map(|x| i64::from(*x)).collect(),
        DType::I8 => tensor.as_slice::<i8>().expect(ok).iter().map(|x| i64::from(*x)).collect(),
        DType::U8 => tensor.as_slice::<u8>().expect(ok).iter().map(|x| i64::from(*x)).collect(),
        _ => return None,
    })
}

/// How far a float of this type may be from its reference, unless that says so: what is rounded once more than the result,
/// f32 after a sum.
const fn usual(dtype: DType) -> Tolerance {
    let relative = match dtype {
        DType::Bf16 => 1.0 / 128.0,
        DType::F16 => 1.0 / 1024.0,
        _ => 1e-5,
    };
    Tolerance { relative, absolute: 2e-6 }
}

/// The first element that is not what is expected, in words.
fn difference(found: &Tensor, expected: &Expected, tolerance: Option<Tolerance>, is_bool: bool) -> Option<String> {
    if found.ty().shape() != expected.shape {
        return Some(format!("the shape is {:?} and should be {:?}", found.ty().shape(), expected.shape));
    }
    let at = |index: usize, should: &dyn std::fmt::Display| {
        format!("element {index}, of {}, is {} and should be {should}", found.ty().len(), element(found, index))
    };
    match (&expected.numbers, floats(found), integers(found)) {
        (Numbers::Integers(expected), _, Some(found)) => {
            let is_same =
                |found: i64, expected: i64| if is_bool { (found != 0) == (expected != 0) } else { found == expected };
            let index = found.iter().zip(expected).position(|(found, expected)| !is_same(*found, *expected))?;
            Some(at(index, &expected[index]))
        }
        (Numbers::Floats(expected), Some(numbers), _) => {
            let Tolerance { relative, absolute } = tolerance.unwrap_or_else(|| usual(found.ty().dtype()));
            // Of sums of which some cancel, the others say how large the errors of all are.
            let largest = expected.iter().copied().filter(|x| x.is_finite()).fold(1.0, |a: f64, b| a.max(b.abs()));
            let bound = |expected: f64| absolute * largest + relative * expected.abs();
            let most = most(found.ty().dtype());
            let is_same = |found: f64, expected: f64| {
                found == expected
                    || (found.is_nan() && expected.is_nan())
                    || (found.is_infinite() && expected.abs() > most && found.signum() == expected.signum())
                    || (found - expected).abs() <= bound(expected)
            };
            let index = numbers.iter().zip(expected).position(|(found, expected)| !is_same(*found, *expected))?;
            let should = format!("{:?} (to {:.1e})", expected[index], bound(expected[index]));
            Some(at(index, &should))
        }
        _ => Some("floats are compared with integers".to_owned()),
    }
}

/// The largest float of a type that a larger number may be rounded to.
const fn most(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 65504.0,
        _ => f32::MAX as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(found: &Tensor, expected: &[f64]) -> Option<String> {
        let shape = found.ty().shape().to_vec();
        difference(found, &Expected { shape, numbers: Numbers::Floats(expected.to_vec()) }, None, false)
    }

    fn f32s(numbers: &[f32]) -> Tensor {
        Tensor::from_vec(numbers.to_vec(), &[numbers.len()]).unwrap()
    }

    #[test]
    fn a_float_may_be_rounded_and_no_more() {
        assert_eq!(of(&f32s(&[1.0, f32::NAN, f32::INFINITY]), &[1.0 + 1e-5, f64::NAN, 1e39]), None);
        insta::assert_snapshot!(of(&f32s(&[1.0, 2.0]), &[1.0, 2.0001]).unwrap(), @"element 1, of 2, is 2.0 (bits 40000000) and should be 2.0001 (to 2.4e-5)");
        assert!(of(&f32s(&[f32::NAN]), &[1.0]).is_some());
        assert!(of(&f32s(&[1.0]), &[f64::NAN]).is_some());
        assert!(of(&f32s(&[f32::INFINITY]), &[-1e39]).is_some());
        assert!(of(&f32s(&[f32::INFINITY]), &[1e38]).is_some());
        // A sum that cancels, beside one that says how large its summands are.
        assert_eq!(of(&f32s(&[0.009, 5e3]), &[0.0, 5e3]), None);
        assert!(of(&f32s(&[0.009, 5.0]), &[0.0, 5.0]).is_some());
    }

    #[test]
    fn every_type_has_its_tolerance() {
        let half = Tensor::from_vec(vec![f16::from_f32(1.0), f16::INFINITY], &[2]).unwrap();
        assert_eq!(of(&half, &[1.0009, 70000.0]), None);
        assert!(of(&half, &[1.0009, 70.0]).is_some());
        let half = Tensor::from_vec(vec![f16::from_f32(1.0)], &[1]).unwrap();
        assert!(of(&half, &[1.0011]).is_some());
        let brain = Tensor::from_vec(vec![bf16::from_f32(1.0)], &[1]).unwrap();
        assert_eq!(of(&brain, &[1.007]), None);
        assert!(of(&brain, &[1.01]).is_some());
    }

    #[test]
    fn integers_and_shapes_are_exact() {
        let found = Tensor::from_vec(vec![1_i32, -2], &[2]).unwrap();
        let of = |shape: &[usize], numbers, is_bool| {
            difference(&found, &Expected { shape: shape.to_vec(), numbers }, None, is_bool)
        };
        assert_eq!(of(&[2], Numbers::Integers(vec![1, -2]), false), None);
        assert_eq!(of(&[2], Numbers::Integers(vec![1, 1]), true), None);
        insta::assert_snapshot!(of(&[2], Numbers::Integers(vec![1, 1]), false).unwrap(), @"element 1, of 2, is -2 and should be 1");
        insta::assert_snapshot!(of(&[1, 2], Numbers::Integers(vec![1, -2]), false).unwrap(), @"the shape is [2] and should be [1, 2]");
        insta::assert_snapshot!(of(&[2], Numbers::Floats(vec![1.0, -2.0]), false).unwrap(), @"floats are compared with integers");
    }
}
