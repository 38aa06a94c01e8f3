//! [`Gradients`]: whether the gradients that an op declares are the derivatives of what it computes.
//!
//! With the gradients of the outputs drawn at random, `w`, the gradient of an operand `x` is the derivative of
//! `sum(w * y(x))`, which is computed in f64 of outputs in f32. Along single elements of `x`, and along random directions, that
//! derivative by finite differences must be what the declared gradients say.

mod formula;
mod slope;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use anyhow::Context;
use gpsimd_emulator::gpsimd_descriptor::{Formula, GradientArgument, OpDescriptor};
use gpsimd_emulator::{DType, Op, Tensor};

use self::formula::{Declared, Evaluated, numbers};
use self::slope::Slope;
use super::finding::Finding;
use super::judge::{Case, Judge};
use super::launcher::Launcher;
use super::random::Random;
use crate::normal::normal;
use crate::operands::Operands;
use crate::replay::{Mode, Setting};

const NAME: &str = "gradient";

/// What is launched hundreds of times for a case.
const SETTING: Setting = Setting { mode: Mode::Fast, ..Setting::REFERENCE };

/// How far a declared derivative may be from that by finite differences, of the larger of both, apart from the error of the
/// latter.
pub(crate) const TOLERANCE: f64 = 2e-3;

/// Elements of the largest operand that is tried.
const LARGEST: usize = 4096;
/// Floats whose derivatives can be told from rounding.
const MODERATE: std::ops::RangeInclusive<f32> = 1e-3..=1e3;

/// Directions along one element, and along all.
const ELEMENTS: usize = 6;
const DIRECTIONS: usize = 2;

/// Seeds of the outputs' gradients and of the directions: the same whenever a case is looked at.
const SEED: u64 = 0x67_7261_6469_656e;

/// Compares the gradients that ops declare with finite differences.
#[derive(Default)]
pub(crate) struct Gradients {
    comparisons: u64,
    /// Why elements were not compared, of which operand, and how many.
    excepted: BTreeMap<(String, String), usize>,
}

impl Judge for Gradients {
    fn name(&self) -> &'static str {
        NAME
    }

    fn comparisons(&self) -> u64 {
        self.comparisons
    }

    fn note(&self, op: &OpDescriptor) -> Option<String> {
        if op.gradients.is_empty() {
            return None;
        }
        let note = match self.comparisons {
            0 => "its gradients were not compared with finite differences: none of what was drawn is f32 of moderate size".into(),
            count => format!("its gradients agree with finite differences along {count} directions"),
        };
        let except = self.excepted.iter().map(|((operand, reason), count)| {
            format!("; that of `{operand}` was not compared for {count} elements, as declared: {reason}")
        });
        Some(note + &except.collect::<String>())
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
        let Ok(outputs) = case.reference else { return Ok(None) };
        let differentiated = differentiated_outputs(case.op);
        if differentiated.is_empty() || !is_of_f32(case) || !is_moderate(case) || !outputs.iter().all(is_finite) {
            return Ok(None);
        }
        let grads: Vec<_> = outputs
            .iter()
            .enumerate()
            .map(|(index, output)| {
                let is_wanted = differentiated.contains(&case.op.outputs()[index].name.as_str());
                let numbers = normal(SEED + index as u64, output.ty().len());
                is_wanted.then(|| Tensor::of_numbers(output.ty(), numbers))
            })
            .collect();
        let evaluated = Evaluated { op: case.op, operands: case.operands, outputs, grads: &grads };
        let declared = match evaluated.declared(launcher, &SETTING)? {
            Ok(declared) => declared,
            Err(failed) => {
                let message = format!(
                    "the gradient that it declares cannot be computed on what it takes and returns: `{}` fails: {}",
                    failed.op, failed.error
                );
                return Ok(Some(finding("GradientFails", message)));
            }
        };
        let mut sum = WeightedSum { launcher, case, grads: &grads };
        let magnitude = sum.magnitude(outputs);
        for one in &declared {
            if let Some((excepted, reason)) = &one.except {
                let name = case.op.descriptor().tensors().nth(one.operand).map_or("", |(name, _)| name);
                let count = excepted.iter().filter(|is_excepted| **is_excepted).count();
                *self.excepted.entry((name.to_owned(), reason.clone())).or_default() += count;
            }
            if let Some(finding) = self.compare(&mut sum, one, magnitude)? {
                return Ok(Some(finding));
            }
        }
        Ok(None)
    }
}

impl Gradients {
    /// Looks for a direction along which the derivative is another than declared.
    fn compare(
        &mut self,
        sum: &mut WeightedSum<'_, '_>,
        declared: &Declared,
        magnitude: f64,
    ) -> anyhow::Result<Option<Finding>> {
        let len = declared.gradient.len();
        for direction in Direction::some_of(&declared.compared(), len, SEED + declared.operand as u64) {
            // Twice, with steps of different sizes: both must say so.
            let mut wrong = None;
            for first in [0.25, 0.19] {
                wrong = self.compare_along(sum, declared, &direction, first, magnitude)?;
                if wrong.is_none() {
                    break;
                }
            }
            if let Some((expected, found, error)) = wrong {
                let name = sum.case.op.descriptor().tensors().nth(declared.operand).map_or("", |(name, _)| name);
                let message = format!(
                    "the gradient that it declares for operand `{name}` is wrong: {} the derivative of the sum of its outputs, with \
                     random weights, is {expected:.6e} by finite differences (to {error:.1e}), and `{}` says {found:.6e}",
                    direction.of(len),
                    declared.by
                );
                return Ok(Some(finding("Gradient", message)));
            }
        }
        Ok(None)
    }

    /// The derivative by finite differences, the declared one, and the error of the former, if they do not agree.
    fn compare_along(
        &mut self,
        sum: &mut WeightedSum<'_, '_>,
        declared: &Declared,
        direction: &Direction,
        first: f64,
        magnitude: f64,
    ) -> anyhow::Result<Option<(f64, f64, f64)>> {
        // What is no number cannot be taken away.
        let is_number = direction.elements().all(|(index, far)| far == 0.0 || declared.gradient[index].is_finite());
        let (mut along, mut step_along) = (0.0, 0.0);
        // The sum, and what is declared to be taken away from it, along the steps as they are after rounding.
        let moves = |step: f64| -> anyhow::Result<Option<(f64, f64)>> {
            let (moved, linear) = sum.moved(declared, direction, step)?;
            if step > 0.0 {
                (along, step_along) = (linear, step);
            }
            Ok(sum.value(&moved)?.map(|value| (value, if is_number { linear } else { 0.0 })))
        };
        let Some(slope) = Slope::of(moves, first, magnitude)? else { return Ok(None) };
        let found = if step_along > 0.0 { along / step_along } else { 0.0 };
        let expected = if is_number { found + slope.value } else { slope.value };
        self.comparisons += 1;
        // Of several elements at corners, each may have a derivative of its own between those of its sides.
        // And which of several equal ones an op picks, as top-k does, is not between those of the one that moves.
        let is_no_line = slope.has_a_corner()
            && match direction {
                Direction::All(_) => true,
                Direction::Element(index) => has_an_equal(&sum.case.operands.tensors[declared.operand], *index),
            };
        let may_be_right = || slope.may_be_zero(TOLERANCE * found.abs().max(expected.abs()));
        let is_right = is_no_line || (is_number && may_be_right());
        Ok((!is_right).then_some((expected, found, slope.error)))
    }
}

/// Whether another element of a tensor is equal to this one.
fn has_an_equal(tensor: &Tensor, index: usize) -> bool {
    let Ok(elements) = tensor.as_slice::<f32>() else { return false };
    elements.get(index).is_some_and(|one| elements.iter().filter(|other| *other == one).count() > 1)
}

fn finding(kind: &str, message: String) -> Finding {
    Finding { judge: NAME, kind: kind.into(), message, settings: vec![Setting::REFERENCE], at: None }
}

/// Names of the outputs that gradients depend on.
fn differentiated_outputs(op: &Op) -> Vec<&str> {
    let of = |argument: &'_ GradientArgument| match argument {
        GradientArgument::Grad(name) => op.outputs().iter().find(|output| output.name == *name),
        _ => None,
    };
    let formulas = op.descriptor().gradients.iter().map(|gradient| &gradient.formula);
    let used = formulas.flat_map(|formula| match formula {
        Formula::Value { value } => std::slice::from_ref(value),
        Formula::Op { arguments, .. } => arguments,
    });
    used.filter_map(of).map(|output| output.name.as_str()).collect()
}

/// Whether what it has gradients for is f32: a type parameter may stand for integers, too.
fn is_of_f32(case: &Case<'_>) -> bool {
    let is_f32 = |operand: &String| {
        let mut tensors = case.op.descriptor().tensors().zip(&case.operands.tensors);
        tensors.any(|((name, _), tensor)| name == operand && tensor.ty().dtype() == DType::F32)
    };
    case.op.descriptor().gradients.iter().flat_map(|gradient| &gradient.operands).all(is_f32)
}

/// Whether all floats are f32, and of a size at which derivatives can be told from rounding.
fn is_moderate(case: &Case<'_>) -> bool {
    case.operands.tensors.iter().all(|tensor| {
        let is_float = matches!(tensor.ty().dtype(), DType::F32 | DType::Bf16 | DType::F16);
        let elements = tensor.as_slice::<f32>();
        let is_moderate = |x: &f32| *x == 0.0 || MODERATE.contains(&x.abs());
        tensor.ty().len() <= LARGEST && (!is_float || elements.is_ok_and(|all| all.iter().all(is_moderate)))
    })
}

fn is_finite(tensor: &Tensor) -> bool {
    tensor.as_slice::<f32>().map_or(true, |elements| elements.iter().all(|element| element.is_finite()))
}

/// Where operands are moved to.
enum Direction {
    /// One element.
    Element(usize),
    /// All that are compared, each by a number.
    All(Vec<f32>),
}

impl Direction {
    /// Some along these elements of `len`.
    fn some_of(compared: &[usize], len: usize, seed: u64) -> Vec<Self> {
        let (mut random, count) = (Random::new(seed, len), compared.len());
        let mut places: Vec<_> = if count <= ELEMENTS {
            (0..count).collect()
        } else {
            [0, count - 1].into_iter().chain((2..ELEMENTS).map(|_| random.below(count))).collect()
        };
        places.dedup();
        let all = |index: usize| {
            let far = normal(seed ^ index as u64, len);
            let mut only = vec![0.0; len];
            for element in compared {
                only[*element] = far[*element];
            }
            Self::All(only)
        };
        let all = (0..if count > 1 { DIRECTIONS } else { 0 }).map(all);
        places.into_iter().map(|place| Self::Element(compared[place])).chain(all).collect()
    }

    /// The direction of an element: its index, and how far it moves.
    fn elements(&self) -> Box<dyn Iterator<Item = (usize, f64)> + '_> {
        match self {
            Self::Element(index) => Box::new(std::iter::once((*index, 1.0))),
            Self::All(all) => Box::new(all.iter().map(|far| f64::from(*far)).enumerate()),
        }
    }

    fn of(&self, len: usize) -> String {
        match self {
            Self::Element(index) => format!("along its element {index}, of {len},"),
            Self::All(_) => format!("along a random direction of its {len} elements"),
        }
    }
}

/// The sum of what an op returns, with weights.
struct WeightedSum<'a, 'c> {
    launcher: &'a mut Launcher,
    case: &'a Case<'c>,
    grads: &'a [Option<Tensor>],
}

impl WeightedSum<'_, '_> {
    /// The operands with one moved, and by how much the sum then grows, if the gradient is what is declared.
    fn moved(&self, declared: &Declared, direction: &Direction, step: f64) -> anyhow::Result<(Operands, f64)> {
        let mut operands = self.case.operands.clone();
        let elements = operands.tensors[declared.operand].as_mut_slice::<f32>().context("a gradient of no f32")?;
        let mut grows = 0.0;
        for (index, far) in direction.elements() {
            let element = &mut elements[index];
            let before = f64::from(*element);
            *element = (before + step * far * before.abs().max(1.0)) as f32;
            grows += declared.gradient[index] * (f64::from(*element) - before);
        }
        Ok((operands, grows))
    }

    /// The sum; none where the op refuses the operands or does not return numbers.
    fn value(&mut self, operands: &Operands) -> anyhow::Result<Option<f64>> {
        let outcome = self.launcher.launch(self.case.op.name(), operands, &SETTING)?;
        let Ok(outputs) = outcome else { return Ok(None) };
        Ok(Some(self.products(&outputs).sum()).filter(|sum: &f64| sum.is_finite()))
    }

    /// The size of a sum of rounding errors, in units of the last place.
    fn magnitude(&self, outputs: &[Tensor]) -> f64 {
        self.products(outputs).map(|product| product * product).sum::<f64>().sqrt()
    }

    fn products(&self, outputs: &[Tensor]) -> impl Iterator<Item = f64> {
        let pairs = self
            .grads
            .iter()
            .zip(outputs)
            .filter_map(|(grad, output)| Some((numbers(grad.as_ref()?), numbers(output))));
        pairs
            .flat_map(|(grads, outputs)| grads.into_iter().zip(outputs).map(|(grad, output)| grad * output))
            .collect::<Vec<_>>()
            .into_iter()
    }
}
