//! An op library as Python sees it.

use std::collections::HashMap;

use gpsimd_emulator::{Launch, TensorType, TensorView, TensorViewMut};
use pyo3::prelude::*;

use crate::convert::{PyTensor, PyType, tensor_type, view, view_mut};
use crate::engines;
use crate::errors::{self, OperandError};
use crate::seen::Seen;

/// An op library, loaded.
#[pyclass(frozen, module = "gpsimd_torch._native")]
pub(crate) struct OpLibrary {
    library: gpsimd_emulator::OpLibrary,
    path: String,
    /// Of each op.
    seen: HashMap<String, Seen>,
}

#[pymethods]
#[expect(clippy::needless_pass_by_value, reason = "extracted from Python objects")]
impl OpLibrary {
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
        let output = op.shape(&types).map_err(|error| errors::shape(&error))?;
        Ok((output.dtype().name(), output.shape().to_vec()))
    }

    /// Launches an op. The tensors are contiguous CPU tensors that the caller holds; `output` is its alone.
    /// Raises `KernelError` and `OperandError`.
    fn launch(
        &self,
        py: Python<'_>,
        op: &str,
        tensors: Vec<PyTensor>,
        scalars: Vec<f32>,
        output: PyTensor,
    ) -> PyResult<()> {
        // SAFETY: `ops.py` passes contiguous tensors that it holds through the call.
        let tensors: Vec<TensorView<'_>> =
            tensors.iter().map(|tensor| unsafe { view(tensor) }).collect::<PyResult<_>>()?;
        // SAFETY: as above, and the output is new.
        let output = unsafe { view_mut(&output)? };
        self.run(py, op, &tensors, &scalars, output, false)
    }

    /// Launches an op on the storage of the operand that its output replaces. Raises `KernelError` and `OperandError`.
    fn launch_in_place(&self, py: Python<'_>, op: &str, mut tensors: Vec<PyTensor>, scalars: Vec<f32>) -> PyResult<()> {
        let replaced = self.op(op)?.descriptor().replaced_tensor();
        let Some(replaced) = replaced.filter(|index| *index < tensors.len()) else {
            return Err(OperandError::new_err(format!("op `{op}` replaces none of its operands in place")));
        };
        let output = tensors.remove(replaced);
        // SAFETY: `ops.py` passes contiguous tensors that it holds through the call.
        let tensors: Vec<TensorView<'_>> =
            tensors.iter().map(|tensor| unsafe { view(tensor) }).collect::<PyResult<_>>()?;
        // SAFETY: as above; that the other operands do not overlap it is verified by the launch.
        let output = unsafe { view_mut(&output)? };
        self.run(py, op, &tensors, &scalars, output, true)
    }
}

impl OpLibrary {
    pub(crate) fn op(&self, name: &str) -> PyResult<gpsimd_emulator::Op> {
        self.library.op(name).map_err(|error| errors::unknown_op(&error))
    }

    /// The launches of an op of this library that have passed a check.
    pub(crate) fn seen(&self, op: &gpsimd_emulator::Op) -> &Seen {
        &self.seen[op.name()]
    }

    fn run(
        &self,
        py: Python<'_>,
        op: &str,
        tensors: &[TensorView<'_>],
        scalars: &[f32],
        output: TensorViewMut<'_>,
        in_place: bool,
    ) -> PyResult<()> {
        let op = self.op(op)?;
        let signature = || (tensors.iter().map(TensorView::ty).chain([output.ty()]).collect(), in_place);
        let choice = self.seen(&op).choose(signature);
        let engine = engines::engine(choice.mode)?;
        let launch = Launch { tensors, scalars, output };
        py.detach(|| if in_place { engine.launch_in_place(&op, launch) } else { engine.launch(&op, launch) })
            .map_err(|error| errors::launch(&error))?;
        choice.passed();
        Ok(())
    }
}
