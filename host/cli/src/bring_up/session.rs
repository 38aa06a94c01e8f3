//! [`Session`]: the launches of one library, in processes that are started again when they end.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use gpsimd_neuron_sdk::Sdk;

use super::launches::Launch;
use super::libraries::Built;
use super::report::EngineKind;
use super::worker::{Program, Repeat, Worker, WorkerError};

/// Processes that end in a row before a library is given up.
const MOST_ENDS: usize = 3;

/// How long a process may take to load a library, at least: it imports PyTorch and opens the device.
const LOADING: Duration = Duration::from_mins(5);

/// What every session has.
pub(super) struct Setting<'a> {
    pub(super) engine: EngineKind,
    pub(super) sdk: Option<&'a Sdk>,
    /// Folder for what processes print.
    pub(super) folder: PathBuf,
    /// How long a launch may take.
    pub(super) limit: Duration,
    pub(super) stop: &'a AtomicBool,
}

/// The processes of a library, one after the other.
pub(super) struct Session<'a> {
    setting: &'a Setting<'a>,
    library: &'a Built,
    worker: Option<Worker>,
    /// Processes that ended in a row.
    ends: usize,
    /// Why no other process is started.
    pub(super) given_up: Option<String>,
    /// When no other launch is begun.
    pub(super) end: Option<Instant>,
    /// Versions that the last process stated.
    pub(super) versions: Vec<(String, String)>,
}

/// Why something was not tried at all.
pub(super) const STOPPED: &str = "stopped: run the command again to go on";
/// Likewise.
pub(super) const NO_TIME: &str = "there was no time left: run the command again to go on";

impl<'a> Session<'a> {
    pub(super) fn new(setting: &'a Setting<'a>, library: &'a Built, end: Option<Instant>) -> Self {
        Self { setting, library, worker: None, ends: 0, given_up: None, end, versions: Vec::new() }
    }

    /// Why nothing else is tried, if so.
    pub(super) fn closed(&self) -> Option<String> {
        if self.setting.stop.load(Ordering::Relaxed) {
            Some(STOPPED.into())
        } else if self.end.is_some_and(|end| Instant::now() >= end) {
            Some(NO_TIME.into())
        } else {
            self.given_up.clone()
        }
    }

    /// The bytes of a launch's result.
    pub(super) fn launch(&mut self, launch: &Launch<'_>) -> anyhow::Result<Vec<u8>> {
        let (limit, stop) = (self.setting.limit, self.setting.stop);
        self.with_worker(|worker| worker.launch(launch, limit, stop))
    }

    /// The seconds of launches.
    pub(super) fn time(&mut self, launch: &Launch<'_>, repeat: Repeat) -> anyhow::Result<Vec<f64>> {
        let (limit, stop) = (self.setting.limit, self.setting.stop);
        self.with_worker(|worker| worker.time(launch, repeat, limit, stop))
    }

    fn with_worker<T>(&mut self, ask: impl FnOnce(&mut Worker) -> anyhow::Result<T>) -> anyhow::Result<T> {
        if self.worker.is_none() {
            self.worker = Some(self.start().inspect_err(|error| self.note_no_start(error))?);
        }
        let answer = self.worker.as_mut().map(ask).expect("started above");
        let has_ended = |error: &anyhow::Error| {
            matches!(
                error.downcast_ref(),
                Some(WorkerError::Died { .. } | WorkerError::TimeLimit { .. } | WorkerError::Stopped)
            )
        };
        match &answer {
            Err(error) if has_ended(error) => {
                self.worker = None;
                self.ends += 1;
                if self.ends == MOST_ENDS {
                    let why = format!("given up: {MOST_ENDS} processes in a row ended or hung");
                    self.given_up = Some(why);
                }
            }
            _ => self.ends = 0,
        }
        answer
    }

    fn note_no_start(&mut self, error: &anyhow::Error) {
        if !matches!(error.downcast_ref(), Some(WorkerError::Stopped)) {
            self.given_up = Some("its library could not be loaded".into());
        }
    }

    fn start(&mut self) -> anyhow::Result<Worker> {
        let Setting { engine, sdk, folder, limit, stop } = self.setting;
        let name = format!("{}_neuron", self.library.name);
        let python = sdk.and_then(Sdk::interpreter);
        let program = match (engine, python) {
            (EngineKind::Neuron, Some(python)) => Program::Neuron { python, name: &name },
            (EngineKind::Neuron, None) => anyhow::bail!("there is no Python with torch_neuronx"),
            (EngineKind::Emulated, _) => Program::Emulated,
        };
        let log = folder.join(format!("{}.log", self.library.name));
        let worker = Worker::start(&program, &self.library.tried, &log, LOADING.max(*limit), stop)?;
        ensure!(
            *engine == EngineKind::Emulated || worker.device.eq_ignore_ascii_case("neuron"),
            "XLA's device is {}, expected NEURON: unset PJRT_DEVICE, and see `cargo gpsimd doctor --neuron`",
            worker.device
        );
        self.versions.clone_from(&worker.versions);
        Ok(worker)
    }
}

/// The part of what is left until `end` that is for the next of `count` libraries.
pub(super) fn share(end: Option<Instant>, count: usize) -> Option<Instant> {
    let now = Instant::now();
    end.map(|end| now + end.saturating_duration_since(now) / count.max(1) as u32)
}
