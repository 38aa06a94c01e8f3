//! [`Reference`]: whether an op computes what its reference does, a Python function in float64.

mod process;

use std::collections::HashMap;

use anyhow::Context;
use gpsimd_emulator::{DType, Scalar, Tensor, bf16, f16};

use self::process::{Expected, Numbers, Process, Tolerance, verify_count};
use super::comparison::element;
use super::finding::Finding;
use super::judge::{Case, Judge};
use super::launcher::Launcher;
use super::random::Random;
use crate::python::find_package;
use crate::replay::Setting;

const NAME: &str = "reference";

/// Floats for which the tolerance is made: with larger ones, what an op sums up may cancel.
const LARGEST: f64 = 1e3;

/// Compares ops with the references that they name.
#[derive(Default)]
pub(crate) struct Reference {
    processes: HashMap<String, Process>,
    comparisons: u64,
}

impl Judge for Reference {
    fn name(&self) -> &'static str {
        NAME
    }

    fn comparisons(&self) -> u64 {
        self.comparisons
    }

    fn judge(
        &mut self,
        launcher: &mut Launcher,
        case: &Case<'_>,
        _random: &mut Random,
    ) -> anyhow::Result<Option<Finding>> {
        self.again(launcher, case, &[])
    }

    fn again(
        &mut self,
        launcher: &mut Launcher,
        case: &Case<'_>,
        _settings: &[Setting],
    ) -> anyhow::Result<Option<Finding>> {
        let (Some(function), Ok(outputs)) = (&case.op.descriptor().reference, case.reference) else { return Ok(None) };
        if !is_moderate(case) {
            return Ok(None);
        }
        let process = self.process(launcher, case.op.name(), function)?;
        let expected = process.call(case.op.descriptor(), case.operands)?;
        verify_count(function, &expected, outputs.len())?;
        let tolerance = process.tolerance;
        self.comparisons += 1;
        for ((descriptor, output), expected) in case.op.outputs().iter().zip(outputs).zip(&expected) {
            let is_bool = descriptor.returns == Some(gpsimd_emulator::gpsimd_descriptor::ReturnedType::Bool);
            if let Some(difference) = difference(output, expected, tolerance, is_bool) {
                let message = format!("{} of output `{}`, says the reference `{function}`", difference, descriptor.name);
                let settings = vec![Setting::REFERENCE];
                return Ok(Some(Finding { judge: NAME, kind: "Reference".into(), message, settings, at: None }));
            }
        }
        Ok(None)
    }
}

impl Reference {
    /// The Python that has the function, which is started once.
    fn process(&mut self, launcher: &Launcher, op: &str, function: &str) -> anyhow::Result<&mut Process> {
        if !self.processes.contains_key(function) {
            let library = launcher.libraries().source().context("a library without a crate has no reference")?;
            let (python, _) = find_package(library.workspace(), "torch").with_context(|| {
                format!(
                    "op `{op}` has the reference `{function}`, and no Python with PyTorch was found (looked in .venv, $VIRTUAL_ENV \
                     and the system's Python): install it with `pip install torch`"
                )
            })?;
            let folders = [library.folder().to_owned(), library.folder().join("python")];
            let process = Process::start(&python, function, &folders).with_context(|| format!("op `{op}`"))?;
            self.processes.insert(function.to_owned(), process);
        }
        self.processes.get_mut(function).context("it was put there")
    }
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
    Tolerance { relative, absolute: 1e-5 }
}

/// The first element that is not what is expected, in words.
fn difference(found: &Tensor, expected: &Expected, tolerance: Option<Tolerance>, is_bool: bool) -> Option<String> {
    if found.ty().shape() != expected.shape {
        return Some(format!("the shape is {:?} and should be {:?}", found.ty().shape(), expected.shape));
    }
    let at = |index: usize, should: &dyn std::fmt::Display| {
        format!("element {index}, of {}, is {} and should be {should}:", found.ty().len(), element(found, index))
    };
    match (&expected.numbers, floats(found), integers(found)) {
        (Numbers::Integers(expected), _, Some(found)) => {
            let is_same = |found: i64, expected: i64| if is_bool { (found != 0) == (expected != 0) } else { found == expected };
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
        _ => Some("integers are compared with floats:".to_owned()),
    }
}

/// The largest float of a type that a larger number may be rounded to.
const fn most(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 65504.0,
        _ => f32::MAX as f64,
    }
}
