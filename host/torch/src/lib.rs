//! The native half of `gpsimd_torch`: op libraries on an emulated engine, for `ops.py` to register with PyTorch.
//!
//! Tensors cross as (address, dtype name, shape). The addresses are of CPU tensors that `ops.py` holds through the call
//! and has checked to be contiguous.

mod adamw;
mod convert;
mod engines;
mod errors;
mod huge_pages;
mod library;
mod openmp;
mod seen;

use pyo3::prelude::*;

/// Built with maturin as `gpsimd_torch._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("OPENMP_SYMBOLS", openmp::SYMBOLS)?;
    module.add_class::<library::PyOpLibrary>()?;
    module.add_function(wrap_pyfunction!(adamw::adamw_step, module)?)?;
    module.add_function(wrap_pyfunction!(engines::set_emulation, module)?)?;
    module.add_function(wrap_pyfunction!(engines::set_time_limit, module)?)?;
    module.add_function(wrap_pyfunction!(convert::packing, module)?)?;
    module.add_function(wrap_pyfunction!(openmp::use_openmp, module)?)?;
    errors::add_to(module)
}
