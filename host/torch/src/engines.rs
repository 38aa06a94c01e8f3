//! The process's engines over PyTorch's threads, and which of them launches go to.

use std::num::NonZero;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gpsimd_emulator::{Engine, EngineBuilder, Mode, ThreadPool, Workers};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::openmp;

/// TCM pool of the fast engine's cores: all of a core's TCM, where the checked engine gives what a library has on the
/// device. No result depends on it, and with it a row of BERT's feed-forward layer is one tile, which the CPU's prefetcher
/// follows; in 4 KiB pieces of rows the GELU takes 1.5 times as long. That a kernel fits is for checked mode to verify.
const FAST_TCM_BYTES: usize = 64 * 1024;

/// How the process runs ops on CPU tensors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emulation {
    /// The first launch of an op with dtypes and shapes is checked, later ones are fast.
    Auto,
    /// Every launch is checked.
    Checked,
    /// Every launch is fast.
    Fast,
}

impl Emulation {
    const ALL: [Self; 3] = [Self::Auto, Self::Checked, Self::Fast];

    const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Checked => "checked",
            Self::Fast => "fast",
        }
    }

    /// What is chosen now.
    pub(crate) fn current() -> Self {
        Self::ALL[usize::from(CHOSEN.load(Ordering::Relaxed))]
    }
}

/// Index in [`Emulation::ALL`].
static CHOSEN: AtomicU8 = AtomicU8::new(Emulation::Auto as u8);

/// The engine of a mode.
pub(crate) fn engine(mode: Mode) -> PyResult<&'static Engine> {
    static CHECKED: OnceLock<Engine> = OnceLock::new();
    static FAST: OnceLock<Engine> = OnceLock::new();
    match mode {
        Mode::Checked => get_or_build(&CHECKED, || Ok(Engine::builder().mode(Mode::Checked).workers(workers()?))),
        Mode::Fast => get_or_build(&FAST, || Ok(fast().workers(workers()?))),
    }
}

/// An engine of one core and no threads, in fast mode: for callers that run many launches on [`workers`] themselves.
pub(crate) fn serial() -> PyResult<&'static Engine> {
    static SERIAL: OnceLock<Engine> = OnceLock::new();
    get_or_build(&SERIAL, || Ok(fast().cores(1).threads(1)))
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
    let built =
        builder()?.interrupt_on_sigint(true).build().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    Ok(engine.get_or_init(|| built))
}

/// How many seconds a checked launch may take from now on; 0 for any number.
#[pyfunction]
pub(crate) fn set_time_limit(seconds: f64) -> PyResult<()> {
    let limit = Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!("the time limit is {seconds}, expected a number of seconds, 0 for no limit"))
    })?;
    engine(Mode::Checked)?.set_time_limit(limit);
    Ok(())
}

/// Chooses between "auto", "checked" and "fast"; returns the mode before.
#[pyfunction]
pub(crate) fn set_emulation(mode: &str) -> PyResult<&'static str> {
    let chosen = Emulation::ALL.into_iter().find(|emulation| emulation.name() == mode).ok_or_else(|| {
        let message = format!("the emulation mode is {mode:?}, expected \"auto\", \"checked\" or \"fast\"");
        PyValueError::new_err(message)
    })?;
    let before = CHOSEN.swap(chosen as u8, Ordering::Relaxed);
    Ok(Emulation::ALL[usize::from(before)].name())
}
