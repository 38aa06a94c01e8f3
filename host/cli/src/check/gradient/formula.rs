//! [`Declared`]: the gradients that an op declares, computed by the ops that it names.

use std::collections::HashSet;

use anyhow::{Context, bail};
use gpsimd_emulator::gpsimd_descriptor::{Excepted, Exception, Formula, GradientArgument, OperandKind, ScalarType};
use gpsimd_emulator::{DType, LaunchError, Op, Scalar, Tensor, TensorType};

use crate::check::launcher::Launcher;
use crate::check::values::as_integers;
use crate::operands::{Operands, scalar_names};
use crate::replay::Setting;

/// The gradient of an operand.
pub(super) struct Declared {
    /// Which tensor operand.
    pub(super) operand: usize,
    /// A number for each of its elements.
    pub(super) gradient: Vec<f64>,
    /// The op that computed it, or `grad`.
    pub(super) by: String,
    /// Which elements it is meant not to be the derivative of, and why; none of most ops.
    pub(super) except: Option<(Vec<bool>, String)>,
}

impl Declared {
    /// The elements that are compared.
    pub(super) fn compared(&self) -> Vec<usize> {
        let is_compared = |index: &usize| self.except.as_ref().is_none_or(|(excepted, _)| !excepted[*index]);
        (0..self.gradient.len()).filter(is_compared).collect()
    }
}

/// The op of a gradient failed.
pub(super) struct Failed {
    pub(super) op: String,
    pub(super) error: LaunchError,
}

/// A launch, and what PyTorch's autograd knows of it.
pub(super) struct Evaluated<'a> {
    pub(super) op: &'a Op,
    pub(super) operands: &'a Operands,
    pub(super) outputs: &'a [Tensor],
    /// The gradients of the outputs, none for those that are not differentiated.
    pub(super) grads: &'a [Option<Tensor>],
}

impl Evaluated<'_> {
    /// The gradients of all operands that have one.
    ///
    /// # Errors
    /// When an op cannot be launched for a reason that is not the kernel's.
    pub(super) fn declared(
        &self,
        launcher: &mut Launcher,
        setting: &Setting,
    ) -> anyhow::Result<Result<Vec<Declared>, Failed>> {
        let mut all = Vec::new();
        for gradient in &self.op.descriptor().gradients {
            let (by, results) = match &gradient.formula {
                Formula::Value { value: GradientArgument::Grad(output) } => {
                    ("grad".to_owned(), vec![self.grad(output)?.clone()])
                }
                Formula::Value { value } => bail!("a gradient is {value:?}, expected the gradient of an output"),
                Formula::Op { op, arguments } => {
                    let operands = self.arguments(launcher, op, arguments)?;
                    match launcher.launch(op, &operands, setting)? {
                        Ok(outputs) => (op.clone(), outputs),
                        Err(error) => return Ok(Err(Failed { op: op.clone(), error })),
                    }
                }
            };
            for (index, name) in gradient.operands.iter().enumerate() {
                let operand = self.tensor_index(name)?;
                let result = results.get(index).or(results.first()).context("an op without outputs")?;
                let except = match &gradient.except {
                    Some(Exception { elements, reason }) => Some((self.excepted(elements, operand)?, reason.clone())),
                    None => None,
                };
                let gradient = summed_to(result, self.operands.tensors[operand].ty());
                all.push(Declared { operand, gradient, by: by.clone(), except });
            }
        }
        Ok(Ok(all))
    }

    fn arguments(&self, launcher: &Launcher, called: &str, arguments: &[GradientArgument]) -> anyhow::Result<Operands> {
        let called = launcher.libraries().native().op(called)?;
        let mut operands = Operands::default();
        for (operand, argument) in called.descriptor().operands.iter().zip(arguments) {
            match operand.kind {
                OperandKind::Tensor(_) => operands.tensors.push(self.tensor(argument)?.clone()),
                kind => operands.scalars.push(self.scalar(argument, kind)?),
            }
        }
        Ok(operands)
    }

    fn tensor(&self, argument: &GradientArgument) -> anyhow::Result<&Tensor> {
        match argument {
            GradientArgument::Grad(name) => self.grad(name),
            GradientArgument::Output(name) => Ok(&self.outputs[self.output_index(name)?]),
            GradientArgument::Operand(name) => Ok(&self.operands.tensors[self.tensor_index(name)?]),
            other => bail!("a gradient has {other:?} for a tensor"),
        }
    }

    fn scalar(&self, argument: &GradientArgument, kind: OperandKind) -> anyhow::Result<Scalar> {
        let operand = |name: &str| {
            let index = scalar_names(self.op.descriptor()).position(|scalar| scalar == name);
            index.map(|index| self.operands.scalars[index]).with_context(|| format!("there is no scalar `{name}`"))
        };
        Ok(match (argument, kind) {
            (GradientArgument::Operand(name), _) => operand(name)?,
            (GradientArgument::Not(name), _) => match operand(name)? {
                Scalar::Bool(value) => Scalar::Bool(!value),
                other => bail!("`!{name}` is of {other:?}, expected a bool"),
            },
            (GradientArgument::Number(number), OperandKind::Scalar(ScalarType::F32)) => Scalar::F32(*number as f32),
            (GradientArgument::Number(number), OperandKind::Scalar(ScalarType::I32)) => Scalar::I32(*number as i32),
            (GradientArgument::Number(number), OperandKind::Scalar(ScalarType::U32)) => Scalar::U32(*number as u32),
            (GradientArgument::Number(number), OperandKind::Scalar(ScalarType::Bool)) => Scalar::Bool(*number != 0.0),
            (GradientArgument::Number(number), OperandKind::Size) => Scalar::Size(*number as usize),
            (argument, kind) => bail!("a gradient has {argument:?} for a {kind:?}"),
        })
    }

    /// Which elements of an operand an exception is of.
    fn excepted(&self, elements: &Excepted, operand: usize) -> anyhow::Result<Vec<bool>> {
        let ty = self.operands.tensors[operand].ty();
        Ok(match elements {
            Excepted::Overwritten(name) => {
                let index = &self.operands.tensors[self.tensor_index(name)?];
                if index.ty().shape() == ty.shape() { overwritten(index) } else { vec![false; ty.len()] }
            }
            Excepted::Row(name) => {
                let argument = GradientArgument::Operand(name.clone());
                let number = match self.scalar(&argument, OperandKind::Scalar(ScalarType::I32))? {
                    Scalar::I32(number) => i64::from(number),
                    Scalar::U32(number) => i64::from(number),
                    other => bail!("the number of a row is {other:?}"),
                };
                let of_row = ty.shape().iter().skip(1).product::<usize>().max(1);
                (0..ty.len()).map(|element| (element / of_row) as i64 == number).collect()
            }
        })
    }

    fn grad(&self, output: &str) -> anyhow::Result<&Tensor> {
        self.grads[self.output_index(output)?].as_ref().with_context(|| format!("output `{output}` has no gradient"))
    }

    fn output_index(&self, name: &str) -> anyhow::Result<usize> {
        let index = self.op.outputs().iter().position(|output| output.name == name);
        index.with_context(|| format!("op `{}` has no output `{name}`", self.op.name()))
    }

    fn tensor_index(&self, name: &str) -> anyhow::Result<usize> {
        let index = self.op.descriptor().tensors().position(|(tensor, _)| tensor == name);
        index.with_context(|| format!("op `{}` has no tensor operand `{name}`", self.op.name()))
    }
}

/// Whether the index at each place comes again later in its row.
fn overwritten(index: &Tensor) -> Vec<bool> {
    let row = index.ty().shape().last().copied().unwrap_or(1).max(1);
    let mut overwritten = Vec::with_capacity(index.ty().len());
    for row in as_integers(index).chunks(row) {
        let mut later = HashSet::new();
        let of_row: Vec<_> = row.iter().rev().map(|index| !later.insert(*index)).collect();
        overwritten.extend(of_row.into_iter().rev());
    }
    overwritten
}

/// The elements as f64; of integers, none.
pub(super) fn numbers(tensor: &Tensor) -> Vec<f64> {
    match tensor.ty().dtype() {
        DType::F32 => tensor.as_slice::<f32>().unwrap_or_default().iter().map(|x| f64::from(*x)).collect(),
        _ => Vec::new(),
    }
}

/// The sum over the dimensions along which an operand of type `ty` is broadcast to the shape of `tensor`.
fn summed_to(tensor: &Tensor, ty: TensorType) -> Vec<f64> {
    let (from, to) = (tensor.ty(), ty);
    let leading = from.shape().len().saturating_sub(to.shape().len());
    let mut sums = vec![0.0; to.len()];
    for (index, number) in numbers(tensor).into_iter().enumerate() {
        let (mut rest, mut place, mut stride) = (index, 0, 1);
        for (dim, size) in from.shape().iter().enumerate().rev() {
            let coordinate = rest % size;
            rest /= size;
            if let Some(dim) = dim.checked_sub(leading) {
                let kept = to.shape()[dim];
                place += if kept == 1 { 0 } else { coordinate * stride };
                stride *= kept;
            }
        }
        if let Some(sum) = sums.get_mut(place) {
            *sum += number;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_indices_in_a_row_the_last_is_not_overwritten() {
        let index = Tensor::from_vec(vec![1, 0, 1, 1, 0, 1, 2, 2], &[2, 4]).unwrap();
        assert_eq!(overwritten(&index), [true, false, true, false, false, false, true, false]);
    }

    #[test]
    fn a_gradient_is_summed_over_what_was_broadcast() {
        let tensor = Tensor::from_vec((0..12).map(|x| x as f32).collect(), &[2, 3, 2]).unwrap();
        let to = |shape: &[usize]| summed_to(&tensor, TensorType::new(DType::F32, shape).unwrap());
        assert_eq!(to(&[2, 3, 2]), (0..12).map(f64::from).collect::<Vec<_>>());
        assert_eq!(to(&[2]), [30.0, 36.0]);
        assert_eq!(to(&[3, 1]), [14.0, 22.0, 30.0]);
        assert_eq!(to(&[2, 1, 1]), [15.0, 51.0]);
        assert_eq!(to(&[]), [66.0]);
    }
}
