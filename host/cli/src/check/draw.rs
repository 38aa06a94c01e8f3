//! [`Draw`]: operands of an op, better with every one that it refuses.

use gpsimd_emulator::gpsimd_descriptor::{OperandKind, ScalarType};
use gpsimd_emulator::{Op, Scalar, Tensor};

use super::random::Random;
use super::shapes::{Drawn, Shapes, Types};
use super::values::{Values, as_integers, integers, is_float, numbers, of_numbers};
use crate::operands::Operands;

/// Ways of drawing values that are drawn from again.
const KEPT: usize = 32;

/// Draws operands for an op.
pub(crate) struct Draw {
    op: Op,
    shapes: Shapes,
    /// Those with which the op has computed something.
    recipes: Vec<Recipe>,
    last: Recipe,
}

/// Values of each tensor, and the scalars, sizes left out.
#[derive(Clone, Default)]
struct Recipe {
    values: Vec<Values>,
    scalars: Vec<Scalar>,
}

impl Draw {
    pub(crate) fn new(op: &Op) -> Self {
        Self { op: op.clone(), shapes: Shapes::new(op), recipes: Vec::new(), last: Recipe::default() }
    }

    /// Operands that the shape function takes, or panics for; none if it took nothing that was tried.
    pub(crate) fn draw(&mut self, random: &mut Random) -> Option<Operands> {
        match self.shapes.draw(random) {
            Drawn::Taken(types) => {
                let is_known = !self.recipes.is_empty() && random.percent(60);
                self.last =
                    if is_known { self.recipes[random.below(self.recipes.len())].clone() } else { Recipe::default() };
                self.operands(&types, random)
            }
            Drawn::Broken(types) => {
                let tensors = types.tensors()?.into_iter().map(Tensor::zeros).collect();
                let scalars = self.scalars(&types, &[], random);
                Some(Operands { tensors, scalars })
            }
            Drawn::Nothing => None,
        }
    }

    /// The op has computed something with what was drawn last.
    pub(crate) fn keep(&mut self, random: &mut Random) {
        if self.recipes.len() < KEPT {
            self.recipes.push(self.last.clone());
        } else {
            let place = random.below(KEPT);
            self.recipes[place] = self.last.clone();
        }
    }

    /// Changes indices, or the order of elements, as the op asks for in its refusal, if it is one of these; `attempt` is how often
    /// that was done before.
    pub(crate) fn correct(&mut self, operands: &mut Operands, refusal: &str, attempt: usize) -> bool {
        if let Some(operand) = out_of_order(refusal) {
            return self.sort(operands, operand, attempt);
        }
        let Some((operand, count)) = out_of_range(refusal) else { return false };
        let Some(index) = self.op.descriptor().tensors().position(|(name, _)| name == operand) else { return false };
        let tensor = &operands.tensors[index];
        if count == 0 || is_float(tensor.ty().dtype()) {
            return false;
        }
        let within = as_integers(tensor).into_iter().map(|number| number.rem_euclid(count));
        let corrected = integers(tensor.ty(), within);
        let is_other = corrected != *tensor;
        operands.tensors[index] = corrected;
        if let Some(values) = self.last.values.get_mut(index) {
            *values = Values::Below(count as usize);
        }
        is_other
    }

    /// Sorts an operand: in runs of as many elements as an integer among the scalars says, then in rows; of these either way.
    fn sort(&self, operands: &mut Operands, operand: &str, attempt: usize) -> bool {
        let Some(index) = self.op.descriptor().tensors().position(|(name, _)| name == operand) else { return false };
        let tensor = &operands.tensors[index];
        let row = tensor.ty().shape().last().copied().unwrap_or(1).max(1);
        let run = |scalar: &Scalar| match *scalar {
            Scalar::U32(value) => Some(value as usize),
            Scalar::I32(value) => usize::try_from(value).ok(),
            Scalar::Size(value) => Some(value),
            Scalar::F32(_) | Scalar::Bool(_) => None,
        };
        let runs = operands.scalars.iter().filter_map(run).filter(|run| (2..row).contains(run));
        let Some((run, is_descending)) = runs.chain([row]).flat_map(|run| [(run, false), (run, true)]).nth(attempt)
        else {
            return false;
        };
        let ty = tensor.ty();
        let mut numbers = numbers(tensor);
        for run in numbers.chunks_mut(row).flat_map(|row| row.chunks_mut(run)) {
            // Of either sign NaN is the last.
            run.sort_by(|a, b| a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(b)));
            if is_descending {
                run.reverse();
            }
        }
        operands.tensors[index] = of_numbers(ty, &numbers);
        true
    }

    fn operands(&mut self, types: &Types, random: &mut Random) -> Option<Operands> {
        let sizes: Vec<_> = types.distinct().into_iter().filter(|size| *size > 0).collect();
        let tensors = types.tensors()?;
        if self.last.values.is_empty() {
            self.last.values = tensors.iter().map(|ty| Values::draw(ty.dtype(), &sizes, random)).collect();
            // Often all of one kind.
            if random.percent(30)
                && let Some(first) = self.last.values.first().copied()
            {
                for (values, ty) in self.last.values.iter_mut().zip(&tensors) {
                    if is_float(ty.dtype()) == is_float(tensors[0].dtype()) {
                        *values = first;
                    }
                }
            }
        }
        let values: Vec<_> = self.last.values.clone();
        // Of operands that are known, some are of another kind all the same.
        let of = |values: Values, ty, random: &mut Random| {
            let is_other = matches!(values, Values::Below(_)) && random.percent(50);
            let values = if is_other { Values::Below(random.pick(&[&sizes[..], &[1]].concat())) } else { values };
            values.tensor(ty, random)
        };
        let tensors = tensors.into_iter().zip(values).map(|(ty, values)| of(values, ty, random)).collect();
        let scalars = self.scalars(types, &sizes, random);
        Some(Operands { tensors, scalars })
    }

    fn scalars(&mut self, types: &Types, sizes: &[usize], random: &mut Random) -> Vec<Scalar> {
        if self.last.scalars.is_empty() || random.percent(30) {
            let kinds = self.op.descriptor().operands.iter().map(|operand| operand.kind);
            self.last.scalars = kinds.filter_map(|kind| scalar(kind, sizes, random)).collect();
        }
        let (mut scalars, mut sizes) = (self.last.scalars.iter(), types.sizes.iter());
        let value = |kind| match kind {
            OperandKind::Tensor(_) => None,
            OperandKind::Scalar(_) => scalars.next().copied(),
            OperandKind::Size => sizes.next().map(|size| Scalar::Size(*size)),
        };
        self.op.descriptor().operands.iter().map(|operand| operand.kind).filter_map(value).collect()
    }
}

/// A number; none for a tensor or a size.
fn scalar(kind: OperandKind, sizes: &[usize], random: &mut Random) -> Option<Scalar> {
    let size = if sizes.is_empty() { 1 } else { random.pick(sizes) };
    let OperandKind::Scalar(ty) = kind else { return None };
    Some(match ty {
        ScalarType::F32 => Scalar::F32(match random.below(20) {
            0..6 => random.pick(&[0.0, 1.0, 0.5, 0.125]),
            6..10 => random.unit().abs(),
            10..13 => random.unit() * 4.0,
            13..16 => random.pick(&[1e-12, 1e-8, 1e-5, 0.999]),
            16 => random.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0]),
            17 => random.pick(&[1e-40, 3e38, -1e-40]),
            _ => size as f32,
        }),
        ScalarType::I32 => Scalar::I32(match random.below(10) {
            0..5 => random.below(4) as i32,
            5 => -1,
            6 => -100,
            7 => random.pick(&[i32::MIN, i32::MAX]),
            _ => size as i32,
        }),
        ScalarType::U32 => Scalar::U32(match random.below(10) {
            0..5 => random.below(4) as u32,
            5..8 => size as u32,
            _ => random.bits() as u32,
        }),
        ScalarType::Bool => Scalar::Bool(random.percent(50)),
    })
}

/// The operand of indices and how many there are to choose from, of a refusal in the SDK's words: "index 7, element 3 of
/// `indices`, is out of range: `table` has 5 rows", "..: there are 5 to choose from".
fn out_of_range(refusal: &str) -> Option<(&str, i64)> {
    let (before, after) = refusal.split_once("`, is out of range: ")?;
    let operand = before.rsplit_once('`')?.1;
    let count = after.split(' ').find_map(|word| word.parse().ok())?;
    Some((operand, count))
}

/// The operand of a refusal in the SDK's words: "element 7 of `values` is out of order: ..".
fn out_of_order(refusal: &str) -> Option<&str> {
    let (before, _) = refusal.split_once("` is out of order: ")?;
    Some(before.rsplit_once('`')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operand_that_is_not_sorted_is_read_from_the_refusal() {
        let refusal = "element 101 of `values` is out of order: sorted, it is before element 100";
        assert_eq!(out_of_order(refusal), Some("values"));
        assert_eq!(out_of_order("`p` is a probability, from 0 to 1"), None);
    }

    #[test]
    fn the_range_of_indices_is_read_from_the_refusal() {
        let of_rows = "index 7, element 3 of `indices`, is out of range: `table` has 5 rows";
        assert_eq!(out_of_range(of_rows), Some(("indices", 5)));
        let of_others = "index -1, element 0 of `index`, is out of range: there are 12 to choose from";
        assert_eq!(out_of_range(of_others), Some(("index", 12)));
        assert_eq!(out_of_range("`p` is a probability, from 0 to 1"), None);
    }
}
