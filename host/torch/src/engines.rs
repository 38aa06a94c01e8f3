//! The process's two engines, checked and fast, over PyTorch's threads, and which of them launches go to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use gpsimd_emulator::{Engine, Mode};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::openmp;

/// TCM pool of the fast engine's cores: all of a core's TCM, where a custom op gets 16 KiB. No result depends on it, and
/// with it a row of BERT's feed-forward layer is one tile, which the CPU's prefetcher follows; in 4 KiB pieces of rows
/// the GELU takes 1.5 times as long. That a kernel fits in 16 KiB is for checked mode to verify.
const FAST_TCM_BYTES: usize = 64 * 1024;

static IS_FAST: AtomicBool = AtomicBool::new(false);

/// The engine that launches go to now.
pub(crate) fn current() -> PyResult<&'static Engine> {
    static CHECKED: OnceLock<Engine> = OnceLock::new();
    static FAST: OnceLock<Engine> = OnceLock::new();
    let (engine, mode) = if IS_FAST.load(Ordering::Relaxed) { (&FAST, Mode::Fast) } else { (&CHECKED, Mode::Checked) };
    if let Some(engine) = engine.get() {
        return Ok(engine);
    }
    let mut builder = Engine::builder().mode(mode);
    if mode == Mode::Fast {
        builder = builder.tcm_bytes(FAST_TCM_BYTES);
    }
    if let Some(threads) = openmp::threads() {
        builder = builder.workers(Arc::new(threads));
    }
    let built = builder.build().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    Ok(engine.get_or_init(|| built))
}

/// Chooses between "checked" and "fast"; returns the mode before.
#[pyfunction]
pub(crate) fn set_emulation(mode: &str) -> PyResult<&'static str> {
    let is_fast = match mode {
        "checked" => false,
        "fast" => true,
        _ => {
            let message = format!("the emulation mode is {mode:?}, expected \"checked\" or \"fast\"");
            return Err(PyValueError::new_err(message));
        }
    };
    Ok(if IS_FAST.swap(is_fast, Ordering::Relaxed) { "fast" } else { "checked" })
}
