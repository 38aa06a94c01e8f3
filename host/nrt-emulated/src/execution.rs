//! Executing a model: its tensors are looked up in the sets, and its program runs on its core.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gpsimd_neff::TensorSpec;

use crate::error::Error;
use crate::handles::Handle;
use crate::model::Model;
use crate::program;
use crate::runtime::Runtime;
use crate::tensor::{EmulatedTensor, Storage};

/// The tensors of a set by name. A set has handles, not tensors: freeing one that is in a set is the program's mistake, and
/// executing with it says so.
#[derive(Debug, Default)]
pub(crate) struct TensorSet {
    tensors: Mutex<BTreeMap<String, usize>>,
}

impl TensorSet {
    /// Adds a tensor, in the place of one of that name: documented as "add/replace".
    pub(crate) fn add(&self, name: String, tensor: Handle) {
        self.tensors.lock().unwrap_or_else(PoisonError::into_inner).insert(name, tensor.addr());
    }

    /// The tensor of that name.
    pub(crate) fn get(&self, name: &str) -> Result<Handle, Error> {
        let tensors = self.tensors.lock().unwrap_or_else(PoisonError::into_inner);
        let tensor = tensors.get(name).copied().ok_or_else(|| Error::NotInSet { name: name.into() })?;
        Ok(std::ptr::without_provenance_mut(tensor))
    }

    /// All of it as it is now.
    fn snapshot(&self) -> BTreeMap<String, usize> {
        self.tensors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Executes `model` `count` times, each but the first on the outputs of the one before.
///
/// After a failure the outputs are what they were; a new NaN is not a failure in that sense, and everything is done by then.
pub(crate) fn execute(
    runtime: &Runtime,
    model: &Arc<Model>,
    inputs: &TensorSet,
    outputs: &TensorSet,
    count: u32,
) -> Result<(), Error> {
    let inputs = storages(&bind(runtime, "input", &inputs.snapshot(), &model.inputs)?);
    let written = bind(runtime, "output", &outputs.snapshot(), &model.outputs)?;
    let outputs = storages(&written);
    let turn = model.core().turn()?;
    {
        let mut program = model.program();
        if count > 1 {
            program.expect_repeatable()?;
        }
        program.take_inputs(&inputs);
    }
    for repetition in 0..count {
        if repetition > 0 {
            model.program().feed_back();
        }
        let (model, engine) = (Arc::clone(model), Arc::clone(&runtime.engine));
        let timeout = model.timeout;
        let (start, ran) = (Instant::now(), Arc::clone(&model));
        let result = turn.run(Box::new(move |stop| model.program().run(&engine, stop)), timeout);
        runtime.recorder.executed(&ran, start, result.as_ref().err());
        result?;
    }
    let program = model.program();
    program.give_outputs(&outputs);
    for (tensor, _) in &written {
        tensor.completions().add();
    }
    program.expect_no_new_nan()
}

/// A tensor of the program, and its memory when the execution began.
type Bound = (Arc<EmulatedTensor>, Storage);

fn storages(bound: &[Bound]) -> Vec<Storage> {
    bound.iter().map(|(_, storage)| storage.clone()).collect()
}

/// The tensors for those of the model, in its order.
fn bind(
    runtime: &Runtime,
    usage: &'static str,
    set: &BTreeMap<String, usize>,
    specs: &[TensorSpec],
) -> Result<Vec<Bound>, Error> {
    if let Some(name) = set.keys().find(|name| specs.iter().all(|spec| spec.name != **name)) {
        let known = specs.iter().map(|spec| format!("`{}`", spec.name)).collect::<Vec<_>>().join(", ");
        return Err(Error::UnknownTensor { usage, name: name.clone(), known });
    }
    let storage = |spec: &TensorSpec| {
        let handle = set.get(&spec.name);
        let handle = *handle.ok_or_else(|| Error::MissingTensor { usage, name: spec.name.clone() })?;
        let tensor = runtime.tensors.get(std::ptr::without_provenance_mut(handle))?;
        let (found, expected) = (tensor.size(), program::bytes(spec));
        match tensor.storage() {
            Ok(storage) if storage.size() == expected => Ok((tensor, storage)),
            _ => Err(Error::TensorSize { usage, name: spec.name.clone(), found, expected }),
        }
    };
    specs.iter().map(storage).collect()
}
