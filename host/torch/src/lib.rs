//! The native half of `gpsimd_torch`: op libraries on an emulated engine, for `ops.py` to register with PyTorch.
//!
//! Tensors cross as (address, dtype name, shape). The addresses are of CPU tensors that `ops.py` holds through the call
//! and has checked to be contiguous.

mod adamw;
mod convert;
#[cfg(target_os = "linux")]
mod dlpack;
mod engines;
mod errors;
#[cfg(target_os = "linux")]
mod huge_pages;
mod library;
mod narrow;
mod openmp;
#[cfg(target_os = "linux")]
mod output_memory;
mod seen;

use pyo3::prelude::*;

/// Built with maturin as `gpsimd_torch._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    #[cfg(target_os = "linux")]
    output_memory::read_limit().map_err(pyo3::exceptions::PyValueError::new_err)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("OPENMP_SYMBOLS", openmp::SYMBOLS)?;
    module.add_class::<library::PyOpLibrary>()?;
    module.add_function(wrap_pyfunction!(adamw::adamw_step, module)?)?;
    module.add_function(wrap_pyfunction!(engines::set_emulation, module)?)?;
    module.add_function(wrap_pyfunction!(engines::set_time_limit, module)?)?;
    module.add_function(wrap_pyfunction!(convert::packing, module)?)?;
    module.add_function(wrap_pyfunction!(narrow::narrow_int64, module)?)?;
    module.add_function(wrap_pyfunction!(openmp::use_openmp, module)?)?;
    errors::add_to(module)
}
