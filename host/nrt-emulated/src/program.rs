//! [`Program`]: the graph of a NEFF, ready to run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use gpsimd_emulator::{Engine, Launch, Op, OpLibrary, Scalar, TensorType, TensorView, TensorViewMut};
use gpsimd_neff::{Graph, NeffDType, TensorSpec};

use crate::block::Block;
use crate::error::Error;
use crate::memory::{Charge, Hbm};
use crate::recording::RecordedCall;
use crate::tensor::Storage;

/// The graph of a NEFF, its ops found and its memory allocated.
///
/// It runs on memory of its own alone: inputs are copied in before, outputs out after. So an execution that timed out can
/// go on without touching what the program may have freed, and buffers need no alignment.
#[derive(Debug)]
pub(crate) struct Program {
    /// The inputs, the outputs, the intermediates.
    slots: Vec<Slot>,
    inputs: usize,
    outputs: usize,
    steps: Vec<Step>,
    /// What the latest execution did.
    calls: Vec<RecordedCall>,
    /// The intermediates are device memory; inputs and outputs are accounted as tensors of the program.
    _charge: Charge,
    _libraries: Vec<Arc<OpLibrary>>,
}

/// A tensor of the graph.
#[derive(Debug)]
struct Slot {
    name: String,
    dtype: NeffDType,
    shape: Vec<u32>,
    memory: Block,
}

/// A call: what it takes and returns, by index of the slot.
#[derive(Debug)]
struct Step {
    op: Op,
    operands: Vec<(usize, TensorType)>,
    scalars: Vec<Scalar>,
    outputs: Vec<(usize, TensorType)>,
}

impl Program {
    /// Finds the ops of `graph` in `libraries`, which go by their names in the graph, and allocates its memory. Everything
    /// that can be wrong with the graph fails here, so that only kernels can fail later.
    pub(crate) fn new(graph: &Graph, libraries: Vec<(String, Arc<OpLibrary>)>, hbm: &Arc<Hbm>) -> Result<Self, Error> {
        let intermediates = graph.intermediates.iter().map(bytes).fold(0, usize::saturating_add);
        let charge = Charge::new(hbm, intermediates)?;
        let specs = || graph.inputs.iter().chain(&graph.outputs).chain(&graph.intermediates);
        let slots = specs().map(Slot::new).collect::<Result<Vec<_>, _>>()?;
        let index: HashMap<_, _> = specs().enumerate().map(|(index, spec)| (spec.name.as_str(), index)).collect();
        let library = |name: &str| libraries.iter().find(|(other, _)| other == name).map(|(_, library)| &**library);
        let calls = graph.calls.iter().zip(graph.resolve(library)?);
        let steps = calls.map(|(call, resolved)| Step {
            operands: call.tensors.iter().map(|name| index[name.as_str()]).zip(resolved.operands).collect(),
            op: resolved.op,
            scalars: resolved.scalars,
            outputs: call.outputs.iter().map(|name| index[name.as_str()]).zip(resolved.outputs).collect(),
        });
        let steps = steps.collect();
        Ok(Self {
            slots,
            inputs: graph.inputs.len(),
            outputs: graph.outputs.len(),
            steps,
            calls: Vec::new(),
            _charge: charge,
            _libraries: libraries.into_iter().map(|(_, library)| library).collect(),
        })
    }

    /// Copies the inputs in. They have the sizes of the model's.
    pub(crate) fn take_inputs(&mut self, inputs: &[Storage]) {
        for (slot, input) in self.slots.iter().zip(inputs) {
            debug_assert_eq!(slot.memory.size(), input.size());
            // SAFETY: the slot has as many bytes as the input, and `self` is borrowed mutably.
            unsafe { input.read_all(slot.memory.as_ptr()) };
        }
    }

    /// Copies the outputs out. They have the sizes of the model's.
    pub(crate) fn give_outputs(&self, outputs: &[Storage]) {
        for (slot, output) in self.output_slots().iter().zip(outputs) {
            debug_assert_eq!(slot.memory.size(), output.size());
            // SAFETY: the slot has as many bytes as the output.
            unsafe { output.write_all(slot.memory.as_ptr()) };
        }
    }

    /// Fails when the outputs cannot be the inputs of a next execution.
    ///
    /// The documentation has `nrt_execute_repeat` make them so for a NEFF that was made for it, and leaves open which
    /// output becomes which input. Our assumption: the first the first, and so on, each of the input's type; inputs that
    /// are left over keep their values.
    pub(crate) fn expect_repeatable(&self) -> Result<(), Error> {
        let inputs = &self.slots[..self.inputs];
        let fits = |(index, output): &(usize, &Slot)| {
            inputs.get(*index).is_some_and(|input| (input.dtype, &input.shape) == (output.dtype, &output.shape))
        };
        let Some((index, output)) = self.output_slots().iter().enumerate().find(|pair| !fits(pair)) else {
            return Ok(());
        };
        let what = "becomes the input of that number in the next execution, which has to have its dtype and shape";
        Err(Error::NotRepeatable(format!("output {index}, `{}`, {what}", output.name)))
    }

    /// Makes the outputs the inputs of the next execution, of a program that is repeatable.
    pub(crate) fn feed_back(&mut self) {
        for (input, output) in self.slots.iter().zip(self.output_slots()) {
            debug_assert_eq!(input.memory.size(), output.memory.size());
            // SAFETY: two blocks of the same size.
            unsafe { output.memory.as_ptr().copy_to_nonoverlapping(input.memory.as_ptr(), output.memory.size()) };
        }
    }

    /// Runs the calls, unless `stop` says before one that nobody waits for them any more.
    pub(crate) fn run(&mut self, engine: &Engine, stop: &dyn Fn() -> bool) -> Result<(), Error> {
        self.calls.clear();
        for step in &self.steps {
            if stop() {
                break;
            }
            let view = |&(slot, ty): &(usize, TensorType)| {
                // SAFETY: the slot has the bytes of the type, initialised and aligned for any; only this step's outputs are
                // written, which are other slots.
                unsafe { TensorView::from_raw(self.slots[slot].memory.as_ptr(), ty) }
            };
            let tensors: Vec<_> = step.operands.iter().map(view).collect();
            let view_mut = |&(slot, ty): &(usize, TensorType)| {
                // SAFETY: as above; `self` is borrowed mutably, so nobody else reads or writes the slot, and each output
                // is a slot of its own.
                unsafe { TensorViewMut::from_raw(self.slots[slot].memory.as_ptr(), ty) }
            };
            let outputs = step.outputs.iter().map(view_mut).collect();
            let start = Instant::now();
            let report = engine.launch(&step.op, Launch { tensors: &tensors, scalars: &step.scalars, outputs })?;
            self.calls.push(RecordedCall::new(&step.op.descriptor().name, start, &report));
        }
        Ok(())
    }

    /// What the latest execution did: a call for each that ended well.
    pub(crate) fn calls(&self) -> &[RecordedCall] {
        &self.calls
    }

    /// Fails when an output has a NaN and no input has one: documented as "completed with numerical errors".
    pub(crate) fn expect_no_new_nan(&self) -> Result<(), Error> {
        let found = self.output_slots().iter().find_map(|slot| slot.first_nan().map(|element| (slot, element)));
        match found {
            Some((slot, element)) if self.slots[..self.inputs].iter().all(|input| input.first_nan().is_none()) => {
                Err(Error::Nan { tensor: slot.name.clone(), element })
            }
            _ => Ok(()),
        }
    }

    fn output_slots(&self) -> &[Slot] {
        &self.slots[self.inputs..self.inputs + self.outputs]
    }
}

impl Slot {
    fn new(spec: &TensorSpec) -> Result<Self, Error> {
        let memory = Block::zeroed(bytes(spec))?;
        Ok(Self { name: spec.name.clone(), dtype: spec.dtype, shape: spec.shape.clone(), memory })
    }

    /// The first element that is NaN.
    fn first_nan(&self) -> Option<usize> {
        // Exponent all ones, fraction not zero.
        let (size, infinity) = match self.dtype {
            NeffDType::Float32 => (4, 0x7f80_0000),
            NeffDType::Bfloat16 => (2, 0x7f80),
            NeffDType::Float16 => (2, 0x7c00),
            _ => return None,
        };
        // SAFETY: the block's own bytes, which nobody writes: whoever holds the program has it alone.
        let bytes = unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.memory.size()) };
        let is_nan = |element: &[u8]| {
            let bits = element.iter().rev().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte));
            bits & !(1 << (size * 8 - 1)) > infinity
        };
        bytes.chunks_exact(size).position(is_nan)
    }
}

/// Bytes of a tensor of a graph. The reader has refused those that have too many.
pub(crate) fn bytes(spec: &TensorSpec) -> usize {
    spec.bytes().unwrap_or(usize::MAX)
}
