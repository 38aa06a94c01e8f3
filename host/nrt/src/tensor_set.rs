//! [`TensorSet`]: the inputs or the outputs of an execution, by name.

use std::collections::BTreeMap;
use std::ptr::{self, NonNull};

use super::bindings;
use super::error::{Error, check};
use super::runtime::Runtime;
use super::tensor::{NrtTensor, c_name};

/// The inputs or the outputs of an execution, by the names that the model has for them. It holds its tensors.
#[derive(Debug)]
pub struct TensorSet {
    handle: NonNull<bindings::nrt_tensor_set_t>,
    /// None is ever taken out: the runtime wants a tensor to live as long as the set.
    tensors: BTreeMap<String, NrtTensor>,
    runtime: Runtime,
}

impl TensorSet {
    /// An empty set.
    ///
    /// # Errors
    /// What the runtime returns.
    pub fn new(runtime: &Runtime) -> Result<Self, Error> {
        let mut handle = ptr::null_mut();
        // SAFETY: the call writes one pointer.
        let status = unsafe { runtime.functions().nrt_allocate_tensor_set(&raw mut handle) };
        check(status, "nrt_allocate_tensor_set", || "an empty set".into())?;
        let handle = NonNull::new(handle)
            .ok_or_else(|| Error::Info { tensor: "a set".into(), problem: "success, and no handle" })?;
        Ok(Self { handle, tensors: BTreeMap::new(), runtime: runtime.clone() })
    }

    /// Puts a tensor into the set, under a name that need not be its own.
    ///
    /// # Errors
    /// When the set has this name already, and what the runtime returns.
    pub fn insert(&mut self, name: &str, tensor: &NrtTensor) -> Result<(), Error> {
        let c_name = c_name(name)?;
        self.runtime.expect_same(tensor.runtime(), || format!("tensor `{name}`"), || "the set".into())?;
        if self.tensors.contains_key(name) {
            return Err(Error::Duplicate { name: name.to_owned() });
        }
        // SAFETY: both are alive; the tensor is held until the set is destroyed, even if the call fails half way.
        let status = unsafe {
            self.runtime.functions().nrt_add_tensor_to_tensor_set(
                self.handle.as_ptr(),
                c_name.as_ptr(),
                tensor.handle(),
            )
        };
        check(status, "nrt_add_tensor_to_tensor_set", || format!("`{name}`"))?;
        self.tensors.insert(name.to_owned(), tensor.clone());
        Ok(())
    }

    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&NrtTensor> {
        self.tensors.get(name)
    }

    /// Names and tensors, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &NrtTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    pub(super) fn handle(&self) -> *mut bindings::nrt_tensor_set_t {
        self.handle.as_ptr()
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Drop for TensorSet {
    fn drop(&mut self) {
        let mut handle = self.handle.as_ptr();
        // SAFETY: made by this runtime, destroyed once: here; its tensors are dropped after it.
        unsafe { self.runtime.functions().nrt_destroy_tensor_set(&raw mut handle) };
    }
}

// SAFETY: the documentation binds no handle to a thread.
unsafe impl Send for TensorSet {}
// SAFETY: `&TensorSet` gives access to its tensors, and is an input, which the runtime takes as const; changing it, and writing to it
// as an output, takes `&mut`.
unsafe impl Sync for TensorSet {}
