//! [`run`]: an op as the device has it, launch by launch: one for each phase, on tensors alone, with one tensor as the result.

use anyhow::{Context, ensure};
use gpsimd_emulator::gpsimd_descriptor::packing::Packing;
use gpsimd_emulator::{Op, OpLibrary, Tensor, TensorType};

use crate::operands::Operands;

/// A launch of an op with one phase, or of one phase of it.
pub(super) struct Launch<'a> {
    /// The op.
    pub(super) op: &'a Op,
    /// What it is launched on; sizes travel as the lengths of tensors.
    pub(super) operands: &'a Operands,
    /// How the outputs lie in the tensor that is returned.
    pub(super) result: TensorType,
}

impl Launch<'_> {
    /// The bits of the scalars, which travel as a tensor.
    pub(super) fn params(&self) -> Vec<i32> {
        self.operands.scalars.iter().filter_map(|scalar| scalar.bits()).collect()
    }
}

/// The outputs of an op, each launch done by `launch`, which returns the bytes of its result.
pub(super) fn run(
    library: &OpLibrary,
    op: &Op,
    operands: &Operands,
    launch: &mut impl FnMut(&Launch<'_>) -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Vec<Tensor>> {
    let phase = op.first_phase();
    let outputs = phase.shape(&operands.types(), &operands.sizes())?;
    let (packing, result) = (packing(&outputs), result_type(&outputs)?);
    let bytes = launch(&Launch { op: &phase, operands, result })?;
    ensure!(bytes.len() == result.bytes(), "the result has {} bytes, expected {}", bytes.len(), result.bytes());
    let starts = packing.starts.iter().map(|start| *start as usize * packing.dtype.bytes());
    let of_output = |(start, ty): (usize, &TensorType)| {
        let bytes = bytes.get(start..start + ty.bytes()).context("the outputs are in the result")?;
        Ok(Tensor::from_bytes(*ty, bytes)?)
    };
    let outputs = starts.zip(&outputs).map(of_output).collect::<anyhow::Result<Vec<_>>>()?;
    let Some(then) = &op.descriptor().then else { return Ok(outputs) };

    let descriptor = op.descriptor();
    let names =
        descriptor.tensors().map(|(name, _)| name).chain(descriptor.outputs.iter().map(|output| output.name.as_str()));
    let values: Vec<_> = names.zip(operands.tensors.iter().chain(&outputs)).collect();
    let others =
        descriptor.operands.iter().filter(|operand| !descriptor.tensors().any(|(name, _)| name == operand.name));
    let numbers: Vec<_> = others.map(|operand| operand.name.as_str()).zip(&operands.scalars).collect();
    let mut next = Operands::default();
    for argument in &then.arguments {
        if let Some((_, tensor)) = values.iter().find(|(name, _)| name == argument) {
            next.tensors.push((*tensor).clone());
        } else {
            let number = numbers.iter().find(|(name, _)| name == argument);
            next.scalars.push(*number.with_context(|| format!("no operand is called `{argument}`"))?.1);
        }
    }
    run(library, &library.op(&then.op)?, &next, launch)
}

fn packing(outputs: &[TensorType]) -> Packing {
    Packing::of(&outputs.iter().map(|ty| (ty.dtype(), ty.len() as u64)).collect::<Vec<_>>())
}

/// The type of the tensor that outputs of these types are returned in.
pub(super) fn result_type(outputs: &[TensorType]) -> anyhow::Result<TensorType> {
    let [only] = outputs else {
        let packing = packing(outputs);
        return Ok(TensorType::new(packing.dtype, &[packing.len as usize])?);
    };
    Ok(*only)
}

/// The bytes of that tensor.
pub(super) fn packed(outputs: &[Tensor]) -> Vec<u8> {
    if let [only] = outputs {
        return only.bytes().to_vec();
    }
    let packing = packing(&outputs.iter().map(Tensor::ty).collect::<Vec<_>>());
    let mut bytes = vec![0; packing.len as usize * packing.dtype.bytes()];
    for (start, output) in packing.starts.iter().zip(outputs) {
        let start = *start as usize * packing.dtype.bytes();
        bytes[start..start + output.bytes().len()].copy_from_slice(output.bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use gpsimd_emulator::{DType, Engine};

    use super::*;
    use crate::bring_up::drawn;

    /// Ops with one output and with several, of one phase and of two, with scalars in both.
    #[test]
    fn launch_by_launch_an_op_computes_what_it_does_at_once() {
        let library = OpLibrary::from_static(&bert_ops::OP_LIBRARY).unwrap();
        let engine = Engine::builder().build().unwrap();
        let (mut phases, mut several) = (0, 0);
        for op in library.ops() {
            let Some(case) = drawn::case(&op, DType::F32, 5, 40, 3) else { continue };
            let expected = engine.call_all(&op, &case.operands.views(), &case.operands.scalars).unwrap();
            let mut launches = 0;
            let found = run(&library, &op, &case.operands, &mut |launch| {
                launches += 1;
                Ok(packed(&engine.call_all(launch.op, &launch.operands.views(), &launch.operands.scalars)?))
            });
            let bytes = |outputs: &[Tensor]| outputs.iter().map(|output| output.bytes().to_vec()).collect::<Vec<_>>();
            assert!(bytes(&found.unwrap()) == bytes(&expected), "{}", op.name());
            assert_eq!(launches, if op.descriptor().then.is_some() { 2 } else { 1 }, "{}", op.name());
            phases += launches - 1;
            several += usize::from(expected.len() > 1);
        }
        assert!(phases > 0 && several > 0, "{phases} {several}");
    }
}
