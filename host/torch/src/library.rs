//! An op library as Python sees it.

use std::collections::HashMap;

use gpsimd_emulator::{Engine, Launch, LaunchError, LaunchReport, Scalar, TensorType, TensorView, TensorViewMut};
use pyo3::prelude::*;

use crate::convert::{self, PyTensor, PyType, tensor_type, view, view_mut};
use crate::engines;
use crate::errors::{self, OperandError};
use crate::seen::{Seen, Signature};
#[cfg(target_os = "linux")]
use crate::{dlpack, output_memory};

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

    /// The dtype names and shapes of the outputs for tensor operands of these types, and sizes; `is_phase`: of the first
    /// phase of an op with two. Raises `OperandError`.
    #[pyo3(signature = (op, types, sizes, is_phase = false))]
    fn shape(
        &self,
        op: &str,
        types: Vec<PyType>,
        sizes: Vec<usize>,
        is_phase: bool,
    ) -> PyResult<Vec<(&'static str, Vec<usize>)>> {
        let op = self.op(op)?;
        let op = if is_phase { op.first_phase() } else { op };
        let types: Vec<TensorType> =
            types.iter().map(|(dtype, shape)| tensor_type(dtype, shape)).collect::<PyResult<_>>()?;
        let outputs = op.shape(&types, &sizes).map_err(|error| errors::operands(&error))?;
        Ok(outputs.iter().map(|output| (output.dtype().name(), output.shape().to_vec())).collect())
    }

    /// The bits of scalars, as the tensor `params` has them on the device, from the op's scalars and sizes. Raises
    /// `OperandError`.
    fn params(&self, op: &str, scalars: Vec<Bound<'_, PyAny>>) -> PyResult<Vec<i32>> {
        let op = self.op(op)?;
        Ok(convert::scalars(&op, &scalars)?.iter().filter_map(|scalar| scalar.bits()).collect())
    }

    /// Launches an op and returns its outputs, each of which `allocate(dtype name, shape)` makes: a new contiguous CPU
    /// tensor. `tensors` are contiguous CPU tensors that the caller holds; `scalars` are scalars and sizes. Raises
    /// `KernelError` and `OperandError`.
    fn launch<'py>(
        &self,
        py: Python<'py>,
        op: &str,
        tensors: Vec<PyTensor>,
        scalars: Vec<Bound<'py, PyAny>>,
        allocate: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let op = self.op(op)?;
        let scalars = convert::scalars(&op, &scalars)?;
        // SAFETY: `registration.py` passes contiguous tensors that it holds through the call.
        let tensors: Vec<TensorView<'_>> =
            tensors.iter().map(|tensor| unsafe { view(tensor) }).collect::<PyResult<_>>()?;
        let bound = op.bind(&tensors, &scalars).map_err(|error| errors::launch(&error))?;
        let types = bound.output_types().to_vec();
        let (outputs, memory): (Vec<_>, Vec<_>) =
            types.iter().map(|ty| output(allocate, *ty)).collect::<PyResult<Vec<_>>>()?.into_iter().unzip();
        let signature = || signature(&tensors, &scalars, &types, false);
        self.launch_checked_once(py, &op, signature, |engine| engine.launch_bound(bound, memory))?;
        Ok(outputs)
    }

    /// Launches an op on the storage of the operands that outputs replace, and returns the other outputs, which
    /// `allocate` makes. Raises `KernelError` and `OperandError`.
    fn launch_in_place<'py>(
        &self,
        py: Python<'py>,
        op: &str,
        tensors: Vec<PyTensor>,
        scalars: Vec<Bound<'py, PyAny>>,
        allocate: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let op = self.op(op)?;
        let scalars = convert::scalars(&op, &scalars)?;
        let descriptor = op.descriptor();
        let count = op.outputs().len();
        let replaced: Vec<Option<usize>> = (0..count).map(|output| descriptor.replaced_tensor(output)).collect();
        if !descriptor.replaces_any() || replaced.iter().flatten().any(|index| *index >= tensors.len()) {
            return Err(OperandError::new_err(format!("op `{}` replaces none of its operands in place", op.name())));
        }
        let types: Vec<TensorType> =
            tensors.iter().map(|(_, dtype, shape)| tensor_type(dtype, shape)).collect::<PyResult<_>>()?;
        // SAFETY: as in `launch`.
        let others: Vec<TensorView<'_>> = tensors
            .iter()
            .enumerate()
            .filter(|(index, _)| !replaced.contains(&Some(*index)))
            .map(|(_, tensor)| unsafe { view(tensor) })
            .collect::<PyResult<_>>()?;
        // The launch asks the shape function itself; before it only who has to make outputs does.
        let mut output_types = Vec::new();
        if replaced.contains(&None) {
            let sizes: Vec<usize> = convert::sizes(&scalars).collect();
            output_types = op.shape(&types, &sizes).map_err(|error| errors::operands(&error))?;
        }
        let (mut returned, mut outputs) = (Vec::new(), Vec::with_capacity(count));
        for (number, operand) in replaced.iter().enumerate() {
            if let Some(index) = operand {
                // SAFETY: as above; that operands do not overlap it is verified by the launch.
                outputs.push(unsafe { view_mut(&tensors[*index])? });
            } else {
                let (tensor, memory) = output(allocate, output_types[number])?;
                returned.push(tensor);
                outputs.push(memory);
            }
        }
        let output_types: Vec<_> = outputs.iter().map(TensorViewMut::ty).collect();
        let signature = || signature(&others, &scalars, &output_types, true);
        let launch = Launch { tensors: &others, scalars: &scalars, outputs };
        self.launch_checked_once(py, &op, signature, |engine| engine.launch_in_place(&op, launch))?;
        Ok(returned)
    }
}

/// A new tensor of Python's for an output, and its memory.
pub(crate) fn output<'py>(
    allocate: &Bound<'py, PyAny>,
    ty: TensorType,
) -> PyResult<(Bound<'py, PyAny>, TensorViewMut<'static>)> {
    let tensor = new_tensor(allocate, ty)?;
    let address = tensor.call_method0(pyo3::intern!(tensor.py(), "data_ptr"))?.extract()?;
    // SAFETY: the tensor is new, so that nothing else reaches it, and the caller holds it through the launch.
    let memory = unsafe { TensorViewMut::from_raw(std::ptr::with_exposed_provenance_mut(address), ty) };
    Ok((tensor, memory))
}

#[cfg(target_os = "linux")]
fn new_tensor<'py>(allocate: &Bound<'py, PyAny>, ty: TensorType) -> PyResult<Bound<'py, PyAny>> {
    if ty.bytes() >= output_memory::LEAST_BYTES {
        return dlpack::tensor(allocate.py(), ty);
    }
    allocate.call1((ty.dtype().name(), ty.shape()))
}

#[cfg(not(target_os = "linux"))]
fn new_tensor<'py>(allocate: &Bound<'py, PyAny>, ty: TensorType) -> PyResult<Bound<'py, PyAny>> {
    allocate.call1((ty.dtype().name(), ty.shape()))
}

/// What tells a launch from others: types, sizes, and whether it is in place.
fn signature(tensors: &[TensorView<'_>], scalars: &[Scalar], outputs: &[TensorType], is_in_place: bool) -> Signature {
    let types = tensors.iter().map(TensorView::ty).chain(outputs.iter().copied()).collect();
    (types, convert::sizes(scalars).collect(), is_in_place)
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
