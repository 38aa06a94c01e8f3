//! The process's engines over PyTorch's threads, and which of them launches go to.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use gpsimd_emulator::{Engine, EngineBuilder, Mode, ThreadPool, Workers};
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
    if is_checked() {
        get_or_build(&CHECKED, || Ok(Engine::builder().mode(Mode::Checked).workers(workers()?)))
    } else {
        get_or_build(&FAST, || Ok(fast().workers(workers()?)))
    }
}

/// An engine of one core and no threads, in fast mode: for callers that run many launches on [`workers`] themselves.
pub(crate) fn serial() -> PyResult<&'static Engine> {
    static SERIAL: OnceLock<Engine> = OnceLock::new();
    get_or_build(&SERIAL, || Ok(fast().cores(1).threads(1)))
}

/// Whether launches are checked now.
pub(crate) fn is_checked() -> bool {
    !IS_FAST.load(Ordering::Relaxed)
}

/// The threads of all engines: PyTorch's own, or a pool.
pub(crate) fn workers() -> PyResult<Arc<dyn Workers>> {
    static WORKERS: OnceLock<Arc<dyn Workers>> = OnceLock::new();
    if let Some(workers) = WORKERS.get() {
        return Ok(Arc::clone(workers));
    }
    let workers: Arc<dyn Workers> = match openmp::threads() {
        Some(threads) => Arc::new(threads),
        None => Arc::new(
            ThreadPool::new(std::thread::available_parallelism().map_or(1, NonZero::get))
                .map_err(|error| PyRuntimeError::new_err(error.to_string()))?,
        ),
    };
    Ok(Arc::clone(WORKERS.get_or_init(|| workers)))
}

fn fast() -> EngineBuilder {
    Engine::builder().mode(Mode::Fast).tcm_bytes(FAST_TCM_BYTES)
}

fn get_or_build(
    engine: &'static OnceLock<Engine>,
    builder: impl FnOnce() -> PyResult<EngineBuilder>,
) -> PyResult<&'static Engine> {
    if let Some(engine) = engine.get() {
        return Ok(engine);
    }
    let built = builder()?.build().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
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
