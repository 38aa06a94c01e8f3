//! The Python exceptions, with the emulator's messages.

use gpsimd_emulator::{LaunchError, LoadError, UnknownOp};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    gpsimd_torch,
    KernelError,
    PyRuntimeError,
    "A kernel did what would be silent corruption on the device, gave up, or panicked."
);
pyo3::create_exception!(gpsimd_torch, LibraryError, PyRuntimeError, "A file that cannot be loaded as an op library.");
pyo3::create_exception!(gpsimd_torch, OperandError, PyValueError, "Operands that do not fit an op.");

pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("KernelError", py.get_type::<KernelError>())?;
    module.add("LibraryError", py.get_type::<LibraryError>())?;
    module.add("OperandError", py.get_type::<OperandError>())
}

pub(crate) fn load(error: &LoadError) -> PyErr {
    LibraryError::new_err(error.to_string())
}

pub(crate) fn unknown_op(error: &UnknownOp) -> PyErr {
    OperandError::new_err(error.to_string())
}

pub(crate) fn operands(error: &gpsimd_emulator::OperandError) -> PyErr {
    OperandError::new_err(error.to_string())
}

/// The exception of a failed launch. One that was interrupted is what Python's handler of the signal raises: in the main
/// thread `KeyboardInterrupt`, unless the program has another handler.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method itself has one lifetime, not any")]
pub(crate) fn launch(error: &LaunchError) -> PyErr {
    if error.is_interrupted()
        && let Err(raised) = Python::attach(|py| py.check_signals())
    {
        return raised;
    }
    match error {
        LaunchError::Kernel(_) => KernelError::new_err(error.to_string()),
        _ => OperandError::new_err(error.to_string()),
    }
}
