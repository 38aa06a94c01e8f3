//! [`Model`]: a NEFF, loaded.

use std::ffi::c_int;
use std::ptr::{self, NonNull};

use super::bindings;
use super::error::{Error, check};
use super::memory::{Access, conflict, lock};
use super::runtime::Runtime;
use super::tensor::core_number;
use super::tensor_set::TensorSet;
use super::version::text;
use gpsimd_neff::NeffDType;

/// More dimensions than any tensor has; a greater number is not a number of dimensions.
const MOST_DIMENSIONS: u32 = 64;

/// A NEFF, loaded onto `NeuronCores`.
#[derive(Debug)]
pub struct Model {
    handle: NonNull<bindings::nrt_model_t>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    core_count: u32,
    instance_count: u32,
    /// The documentation does not say that the runtime copies what it loads.
    _neff: Vec<u8>,
    runtime: Runtime,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name it has in a set.
    pub name: String,
    /// Code of its dtype (`nrt_dtype_t`).
    pub dtype_code: u32,
    /// Dimensions.
    pub shape: Vec<u32>,
    /// Bytes.
    pub size: usize,
}

impl TensorInfo {
    /// What its elements are.
    ///
    /// # Errors
    /// When the code is not documented.
    pub fn dtype(&self) -> Result<NeffDType, Error> {
        let unknown = || Error::UnknownDtype { tensor: self.name.clone(), code: self.dtype_code };
        NeffDType::from_code(self.dtype_code).ok_or_else(unknown)
    }
}

impl Model {
    /// Loads a NEFF onto the `NeuronCore` of this number among those of this process, or onto one that the runtime chooses.
    ///
    /// # Errors
    /// What the runtime returns.
    pub fn load(runtime: &Runtime, neff: Vec<u8>, core: Option<u32>) -> Result<Self, Error> {
        let number = core.map_or(Ok(-1), core_number)?;
        let mut handle = ptr::null_mut();
        // SAFETY: the bytes are as many, and live as long as the model; the call writes one pointer.
        let status =
            unsafe { runtime.functions().nrt_load(neff.as_ptr().cast(), neff.len(), number, -1, &raw mut handle) };
        check(status, "nrt_load", || {
            let core = core.map_or("any NeuronCore".into(), |core| format!("NeuronCore {core}"));
            format!("{} bytes onto {core}", neff.len())
        })?;
        let handle = NonNull::new(handle)
            .ok_or_else(|| Error::Info { tensor: "all".into(), problem: "success, and no handle" })?;
        // From here on dropping it unloads the model.
        let mut model = Self {
            handle,
            inputs: Vec::new(),
            outputs: Vec::new(),
            core_count: 0,
            instance_count: 0,
            _neff: neff,
            runtime: runtime.clone(),
        };
        model.read_info()?;
        model.read_counts()?;
        Ok(model)
    }

    /// What it reads, in the runtime's order.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// What it writes, in the runtime's order.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// How many `NeuronCores` it runs on.
    pub fn core_count(&self) -> u32 {
        self.core_count
    }

    /// How often it is loaded: how many threads may execute it at best.
    pub fn instance_count(&self) -> u32 {
        self.instance_count
    }

    /// Runs it once, and returns when the outputs are written.
    ///
    /// # Errors
    /// When an output shares memory with another tensor, and what the runtime returns. After
    /// [`Status::ExecCompletedWithNumErr`](super::Status::ExecCompletedWithNumErr) the outputs are written, with a NaN in
    /// them; after any other they may hold anything.
    pub fn execute(&self, inputs: &TensorSet, outputs: &mut TensorSet) -> Result<(), Error> {
        self.run(inputs, outputs, "nrt_execute", || {
            // SAFETY: all three are alive; `run` holds the locks of all memory that is used.
            unsafe { self.runtime.functions().nrt_execute(self.handle.as_ptr(), inputs.handle(), outputs.handle()) }
        })
    }

    /// Runs it `count` times: each run gets the outputs of the one before as its inputs, for which a NEFF has to be made.
    ///
    /// # Errors
    /// When an output shares memory with another tensor, and what the runtime returns.
    pub fn execute_repeat(&self, inputs: &TensorSet, outputs: &mut TensorSet, count: u32) -> Result<(), Error> {
        let error = |_| Error::Number { what: "count", value: count.into(), most: c_int::MAX as u64 };
        let count = c_int::try_from(count).map_err(error)?;
        self.run(inputs, outputs, "nrt_execute_repeat", || {
            let functions = self.runtime.functions();
            // SAFETY: as in `execute`.
            unsafe { functions.nrt_execute_repeat(self.handle.as_ptr(), inputs.handle(), outputs.handle(), count) }
        })
    }

    fn run(
        &self,
        inputs: &TensorSet,
        outputs: &TensorSet,
        call: &'static str,
        execute: impl FnOnce() -> bindings::NRT_STATUS,
    ) -> Result<(), Error> {
        for (set, name) in [(inputs, "the inputs"), (outputs, "the outputs")] {
            self.runtime.expect_same(set.runtime(), || name.into(), || "the model".into())?;
        }
        let reads = inputs.iter().map(|(_, tensor)| tensor.access_all(false));
        let writes = outputs.iter().map(|(_, tensor)| tensor.access_all(true));
        let accesses: Vec<Access<'_>> = reads.chain(writes).collect();
        if let Some((written, other)) = conflict(&accesses) {
            return Err(Error::Overlap { written: written.into(), other: other.into() });
        }
        let guards = lock(&accesses);
        let status = execute();
        drop(guards);
        let names = |set: &TensorSet| set.iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        let what = || format!("a model ({} -> {})", names(inputs), names(outputs));
        Ok(check(status, call, what)?)
    }

    fn read_info(&mut self) -> Result<(), Error> {
        let functions = self.runtime.functions();
        let mut array = ptr::null_mut();
        // SAFETY: the model is loaded, and the call writes one pointer.
        let status = unsafe { functions.nrt_get_model_tensor_info(self.handle.as_ptr(), &raw mut array) };
        check(status, "nrt_get_model_tensor_info", || "the model".into())?;
        let Some(array) = NonNull::new(array) else {
            return Err(Error::Info { tensor: "all".into(), problem: "success, and no list of tensors" });
        };
        let tensors = {
            // SAFETY: the runtime's own array, which is not freed before the end of this function; what follows the count
            // are as many descriptions.
            let tensors = unsafe {
                let count = array.as_ref().tensor_count as usize;
                std::slice::from_raw_parts((&raw const (*array.as_ptr()).tensor_array).cast(), count)
            };
            tensors.iter().map(info).collect::<Result<Vec<_>, _>>()
        };
        // SAFETY: given by the runtime, freed once: here.
        let status = unsafe { functions.nrt_free_model_tensor_info(array.as_ptr()) };
        check(status, "nrt_free_model_tensor_info", || "the model".into())?;
        for (is_input, info) in tensors? {
            if is_input { &mut self.inputs } else { &mut self.outputs }.push(info);
        }
        Ok(())
    }

    fn read_counts(&mut self) -> Result<(), Error> {
        let functions = self.runtime.functions();
        // SAFETY: the model is loaded, and the call writes one number.
        let status = unsafe { functions.nrt_get_model_nc_count(self.handle.as_ptr(), &raw mut self.core_count) };
        check(status, "nrt_get_model_nc_count", || "the model".into())?;
        // SAFETY: as above.
        let status =
            unsafe { functions.nrt_get_model_instance_count(self.handle.as_ptr(), &raw mut self.instance_count) };
        Ok(check(status, "nrt_get_model_instance_count", || "the model".into())?)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: made by this runtime, unloaded once: here. There is nobody to tell of a failure, and nothing to do.
        let _status = unsafe { self.runtime.functions().nrt_unload(self.handle.as_ptr()) };
    }
}

// SAFETY: the documentation binds no handle to a thread.
unsafe impl Send for Model {}
// SAFETY: `&Model` executes, which the documentation allows several threads to do at once, and reads what was asked for
// when it was loaded.
unsafe impl Sync for Model {}

/// Whether a tensor is an input, and what it is.
fn info(raw: &bindings::nrt_tensor_info_t) -> Result<(bool, TensorInfo), Error> {
    let name = text(&raw.name);
    let wrong = |problem| Error::Info { tensor: name.clone(), problem };
    let is_input = match raw.usage {
        bindings::NRT_TENSOR_USAGE_INPUT => true,
        bindings::NRT_TENSOR_USAGE_OUTPUT => false,
        _ => return Err(wrong("it is neither an input nor an output")),
    };
    if raw.ndim > MOST_DIMENSIONS {
        return Err(wrong("it has more dimensions than there can be"));
    }
    let shape = match NonNull::new(raw.shape) {
        // SAFETY: the runtime's own array of as many numbers, freed with the description.
        Some(shape) => unsafe { std::slice::from_raw_parts(shape.as_ptr(), raw.ndim as usize) }.to_vec(),
        None if raw.ndim == 0 => Vec::new(),
        None => return Err(wrong("it has dimensions, and no shape")),
    };
    Ok((is_input, TensorInfo { name, dtype_code: raw.dtype, shape, size: raw.size }))
}
