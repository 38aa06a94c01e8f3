//! [`Runtime`]: what a process has between `nrt_init` and `nrt_close`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gpsimd_emulator::{Engine, PrintSink};

use crate::block::Block;
use crate::cores::Reservation;
use crate::error::Error;
use crate::execution::TensorSet;
use crate::handles::Handles;
use crate::libraries::Libraries;
use crate::log::{self, Level};
use crate::model::Model;
use crate::neuron_core::NeuronCore;
use crate::recording::Recorder;
use crate::settings::Settings;
use crate::tensor::EmulatedTensor;

/// What this library is. Part of the version and of the log, so that nobody takes it for the Neuron Runtime.
pub(crate) const IDENTITY: &str = concat!("gpsimd emulated runtime ", env!("CARGO_PKG_VERSION"), ", no Neuron device");

/// What a process has between `nrt_init` and `nrt_close`.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// NeuronCores of this process.
    pub(crate) cores: Vec<Arc<NeuronCore>>,
    /// Runs the ops of all cores; launches do not wait for each other.
    pub(crate) engine: Arc<Engine>,
    /// Op libraries of the models.
    pub(crate) libraries: Libraries,
    /// Loaded models.
    pub(crate) models: Handles<Model>,
    /// Tensors.
    pub(crate) tensors: Handles<EmulatedTensor>,
    /// Tensor sets.
    pub(crate) sets: Handles<TensorSet>,
    /// Arrays of tensor information, by address: the one thing whose memory the program reads.
    pub(crate) infos: Mutex<HashMap<usize, Block>>,
    /// What is traced and profiled.
    pub(crate) recorder: Recorder,
}

enum Lifecycle {
    Uninitialized,
    Open(Arc<Runtime>),
    Closed,
}

static LIFECYCLE: Mutex<Lifecycle> = Mutex::new(Lifecycle::Uninitialized);

fn lifecycle() -> MutexGuard<'static, Lifecycle> {
    LIFECYCLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The runtime of this process.
pub(crate) fn current() -> Result<Arc<Runtime>, Error> {
    match &*lifecycle() {
        Lifecycle::Uninitialized => Err(Error::Uninitialized),
        Lifecycle::Open(runtime) => Ok(Arc::clone(runtime)),
        Lifecycle::Closed => Err(Error::Closed),
    }
}

/// Opens the runtime. One that failed to open can be opened again; one that was closed cannot, which is our assumption.
pub(crate) fn open(settings: impl FnOnce() -> Result<Settings, Error>) -> Result<(), Error> {
    // Held to the end, so that the calls of other threads find all or nothing.
    let mut lifecycle = lifecycle();
    match *lifecycle {
        Lifecycle::Uninitialized => {}
        Lifecycle::Open(_) => return Err(Error::AlreadyInitialized),
        Lifecycle::Closed => return Err(Error::Closed),
    }
    *lifecycle = Lifecycle::Open(Arc::new(Runtime::new(&settings()?)?));
    Ok(())
}

/// Closes the runtime, waits for executions of other threads, and frees everything that is left.
pub(crate) fn close() -> Result<(), Error> {
    let runtime = current()?;
    // Of two threads that close, one does.
    if !matches!(std::mem::replace(&mut *lifecycle(), Lifecycle::Closed), Lifecycle::Open(_)) {
        return Err(Error::Closed);
    }
    let freed = [
        ("models", runtime.models.clear().len()),
        ("tensors", runtime.tensors.clear().len()),
        ("tensor sets", runtime.sets.clear().len()),
        ("arrays of tensor information", std::mem::take(&mut *runtime.infos()).len()),
    ];
    for (what, count) in freed.into_iter().filter(|(_, count)| *count > 0) {
        log::line(Level::Warn, "nrt_close", format_args!("{count} {what} not freed by the program"));
    }
    for core in &runtime.cores {
        core.stop();
    }
    Ok(())
}

impl Runtime {
    fn new(settings: &Settings) -> Result<Self, Error> {
        log::set(settings.level);
        let folder = settings.lock_folder.as_deref();
        let Reservation { first, locks } = Reservation::new(&settings.selection, settings.cores, folder)?;
        let count = locks.len();
        let print = if settings.kernels_print { info as fn(&str) } else { |_: &str| {} };
        let engine = Engine::builder().mode(settings.mode).print(PrintSink::Function(Arc::new(print))).build()?;
        let cores = locks.into_iter().enumerate();
        let cores = cores.map(|(index, lock)| NeuronCore::start(index, lock, settings.hbm_bytes));
        let runtime = Self {
            cores: cores.collect::<Result<_, _>>()?,
            engine: Arc::new(engine),
            libraries: Libraries::default(),
            models: Handles::new("model"),
            tensors: Handles::new("tensor"),
            sets: Handles::new("tensor set"),
            infos: Mutex::default(),
            recorder: Recorder::default(),
        };
        let mode = settings.mode;
        let message =
            format!("{IDENTITY}; {count} of {} emulated NeuronCores from number {first}, {mode:?}", settings.cores);
        log::line(Level::Info, "nrt_init", message);
        Ok(runtime)
    }

    /// The arrays of tensor information that the program has.
    pub(crate) fn infos(&self) -> MutexGuard<'_, HashMap<usize, Block>> {
        self.infos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line that a kernel printed.
fn info(line: &str) {
    log::line(Level::Info, "nrt_execute", line);
}
