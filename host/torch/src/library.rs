//! An op library as Python sees it.

use std::collections::HashMap;

use gpsimd_emulator::{Engine, Launch, LaunchError, LaunchReport, TensorType, TensorView, TensorViewMut};
use pyo3::prelude::*;

use crate::convert::{PyTensor, PyType, tensor_type, view, view_mut};
use crate::engines;
use crate::errors::{self, OperandError};
use crate::seen::{Seen, Signature};

/// An op library, loaded.
#[pyclass(frozen, name = "OpLibrary", module = "gpsimd_torch._native")]
pub(crate) struct PyOpLibrary {
    library: gpsimd_emulator::OpLibrary,
    path: String,
    /// Of each op.
    seen: HashMap<String, Seen>,
}

#[pymethods]
#[expect(clippy::needless_pass_by_value, reason = "extracted from Python objects")]
impl PyOpLibrary {
    /// Loads the library at `path`. Raises `LibraryError`.
    #[new]
    fn new(path: String) -> PyResult<Self> {
        let library = gpsimd_emulator::OpLibrary::load(&path).map_err(|error| errors::load(&error))?;
        let seen = library.ops().map(|op| (op.name().to_owned(), Seen::default())).collect();
        Ok(Self { library, path, seen })
    }

    #[getter]
    fn name(&self) -> &str {
        self.library.name()
    }

    #[getter]
    fn version(&self) -> &str {
        &self.library.descriptor().version
    }

    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    /// The descriptor, JSON.
    #[getter]
    fn descriptor(&self) -> PyResult<String> {
        serde_json::to_string(self.library.descriptor())
            .map_err(|error| errors::LibraryError::new_err(error.to_string()))
    }

    /// The dtype name and shape of the output for tensor operands of these types. Raises `OperandError`.
    fn shape(&self, op: &str, types: Vec<PyType>) -> PyResult<(&'static str, Vec<usize>)> {
        let op = self.op(op)?;
        let types: Vec<TensorType> =
            types.iter().map(|(dtype, shape)| tensor_type(dtype, shape)).collect::<PyResult<_>>()?;
        let output = op.shape(&types).map_err(|error| errors::operands(&error))?;
        Ok((output.dtype().name(), output.shape().to_vec()))
    }

    /// Launches an op and returns its output, which `allocate(dtype name, shape)` makes: a new contiguous CPU tensor. `tensors`
    /// are contiguous CPU tensors that the caller holds. Raises `KernelError` and `OperandError`.
    fn launch<'py>(
        &self,
        py: Python<'py>,
        op: &str,
        tensors: Vec<PyTensor>,
        scalars: Vec<f32>,
        allocate: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let op = self.op(op)?;
        // SAFETY: `registration.py` passes contiguous tensors that it holds through the call.
        let tensors: Vec<TensorView<'_>> =
            tensors.iter().map(|tensor| unsafe { view(tensor) }).collect::<PyResult<_>>()?;
        let bound = op.bind(&tensors, &scalars).map_err(|error| errors::launch(&error))?;
        let ty = bound.output_type();
        let output = allocate.call1((ty.dtype().name(), ty.shape()))?;
        let address = output.call_method0("data_ptr")?.extract()?;
        // SAFETY: as above, and the output is new: nothing else reaches it.
        let memory = unsafe { TensorViewMut::from_raw(std::ptr::with_exposed_provenance_mut(address), ty) };
        let signature = || (tensors.iter().map(TensorView::ty).chain([ty]).collect(), false);
        self.launch_checked_once(py, &op, signature, |engine| engine.launch_bound(bound, memory))?;
        Ok(output)
    }

    /// Launches an op on the storage of the operand that its output replaces. Raises `KernelError` and `OperandError`.
    fn launch_in_place(&self, py: Python<'_>, op: &str, mut tensors: Vec<PyTensor>, scalars: Vec<f32>) -> PyResult<()> {
        let op = self.op(op)?;
        let replaced = op.descriptor().replaced_tensor();
        let Some(replaced) = replaced.filter(|index| *index < tensors.len()) else {
            return Err(OperandError::new_err(format!("op `{}` replaces none of its operands in place", op.name())));
        };
        let output = tensors.remove(replaced);
        // SAFETY: `ops.py` passes contiguous tensors that it holds through the call.
        let tensors: Vec<TensorView<'_>> =
            tensors.iter().map(|tensor| unsafe { view(tensor) }).collect::<PyResult<_>>()?;
        // SAFETY: as above; that the other operands do not overlap it is verified by the launch.
        let output = unsafe { view_mut(&output)? };
        let ty = output.ty();
        let signature = || (tensors.iter().map(TensorView::ty).chain([ty]).collect(), true);
        let launch = Launch { tensors: &tensors, scalars: &scalars, output };
        self.launch_checked_once(py, &op, signature, |engine| engine.launch_in_place(&op, launch))
    }
}

impl PyOpLibrary {
    pub(crate) fn op(&self, name: &str) -> PyResult<gpsimd_emulator::Op> {
        self.library.op(name).map_err(|error| errors::unknown_op(&error))
    }

    /// The launches of an op of this library that have passed a check.
    pub(crate) fn seen(&self, op: &gpsimd_emulator::Op) -> &Seen {
        &self.seen[op.name()]
    }

    /// Launches an op on the engine of the emulation mode, where `auto` checks the first launch of each signature.
    fn launch_checked_once(
        &self,
        py: Python<'_>,
        op: &gpsimd_emulator::Op,
        signature: impl FnOnce() -> Signature,
        launch: impl FnOnce(&Engine) -> Result<LaunchReport, LaunchError> + Send,
    ) -> PyResult<()> {
        let choice = self.seen(op).choose(signature);
        let engine = engines::engine(choice.mode)?;
        py.detach(|| launch(engine)).map_err(|error| errors::launch(&error))?;
        choice.passed();
        Ok(())
    }
}
