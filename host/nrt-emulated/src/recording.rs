//! [`Recorder`]: the executions between the start and the stop of a trace or profile, as a JSON file.
//!
//! The SDK writes its own format (NTFF). This is the emulation's: a JSON object whose `traceEvents` are what viewers of Chrome
//! traces (Perfetto, `chrome://tracing`) read. Times are those of the host that emulates, and say nothing about a device.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gpsimd_emulator::LaunchReport;
use serde_json::{Value, json};

use crate::error::Error;
use crate::model::Model;
use crate::neuron_core::NeuronCore;
use crate::runtime::IDENTITY;

/// What is recorded now.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    trace: Option<Trace>,
    profiles: Vec<Profile>,
}

#[derive(Debug)]
struct Trace {
    start: Instant,
    with_memory: bool,
    events: Vec<Value>,
}

#[derive(Debug)]
struct Profile {
    start: Instant,
    model: Arc<Model>,
    path: PathBuf,
    events: Vec<Value>,
}

/// A call of an op in an execution.
#[derive(Debug)]
pub(crate) struct RecordedCall {
    op: String,
    start: Instant,
    end: Instant,
    dma_bytes: u64,
}

impl RecordedCall {
    /// A call that began at `start` and has just ended.
    pub(crate) fn new(op: &str, start: Instant, report: &LaunchReport) -> Self {
        let total = report.total();
        let dma_bytes = total.load_bytes + total.store_bytes;
        Self { op: op.to_owned(), start, end: Instant::now(), dma_bytes }
    }
}

impl Recorder {
    /// Records all executions from now on.
    pub(crate) fn start_trace(&self, with_memory: bool) -> Result<(), Error> {
        let mut sessions = self.sessions();
        if sessions.trace.is_some() {
            return Err(wrong("a trace is recorded already: call nrt_trace_stop first".into()));
        }
        sessions.trace = Some(Trace { start: Instant::now(), with_memory, events: Vec::new() });
        Ok(())
    }

    /// Writes the trace.
    pub(crate) fn stop_trace(&self, path: &Path, cores: &[Arc<NeuronCore>]) -> Result<(), Error> {
        let trace = self.sessions().trace.take();
        let trace = trace.ok_or_else(|| wrong("no trace is recorded: call nrt_trace_start first".into()))?;
        let mut content = json!({ "producer": IDENTITY, "kind": "nrt_trace", "traceEvents": trace.events });
        if trace.with_memory {
            let usage = |core: &Arc<NeuronCore>| {
                let (used, limit) = core.hbm.usage();
                json!({ "vnc": core.index, "bytes_used": used, "bytes_limit": limit })
            };
            content["memory"] = cores.iter().map(usage).collect();
        }
        write(path, &content)
    }

    /// Records the executions of `model` from now on, for the file at `path`.
    pub(crate) fn start_profile(&self, model: Arc<Model>, path: PathBuf) -> Result<(), Error> {
        let mut sessions = self.sessions();
        if sessions.profiles.iter().any(|profile| profile.path == path) {
            let path = path.display();
            return Err(wrong(format!("a profile for {path} is recorded already: call nrt_profile_stop first")));
        }
        sessions.profiles.push(Profile { start: Instant::now(), model, path, events: Vec::new() });
        Ok(())
    }

    /// Writes the profile that was started for the file at `path`.
    pub(crate) fn stop_profile(&self, path: &Path) -> Result<(), Error> {
        let mut sessions = self.sessions();
        let index = sessions.profiles.iter().position(|profile| profile.path == path);
        let index = index.ok_or_else(|| {
            let path = path.display();
            wrong(format!("no profile is recorded for {path}: call nrt_profile_start with that name first"))
        })?;
        let profile = sessions.profiles.remove(index);
        drop(sessions);
        let content = json!({
            "producer": IDENTITY,
            "kind": "nrt_profile",
            "model": profile.model.name,
            "traceEvents": profile.events,
        });
        write(path, &content)
    }

    /// `model` was executed, from `start` to now.
    pub(crate) fn executed(&self, model: &Arc<Model>, start: Instant, failure: Option<&Error>) {
        let end = Instant::now();
        let mut sessions = self.sessions();
        let Sessions { trace, profiles } = &mut *sessions;
        let profiles = profiles.iter_mut().filter(|profile| Arc::ptr_eq(&profile.model, model));
        let profiles = profiles.map(|profile| (profile.start, &mut profile.events));
        for (origin, events) in trace.iter_mut().map(|trace| (trace.start, &mut trace.events)).chain(profiles) {
            let mut arguments = json!({});
            if let Some(failure) = failure {
                arguments["error"] = failure.to_string().into();
            }
            let event = |name: &str, category: &str, start: Instant, end: Instant, arguments: Value| {
                json!({
                    "name": name,
                    "cat": category,
                    "ph": "X",
                    "ts": microseconds(origin, start),
                    "dur": microseconds(start, end),
                    "pid": std::process::id(),
                    "tid": model.core().index,
                    "args": arguments,
                })
            };
            events.push(event(&model.name, "execution", start, end, arguments));
            // One that timed out still has its program.
            if !matches!(failure, Some(Error::Timeout { .. })) {
                let program = model.program();
                let call = |call: &RecordedCall| {
                    event(&call.op, "call", call.start, call.end, json!({ "dma_bytes": call.dma_bytes }))
                };
                events.extend(program.calls().iter().map(call));
            }
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wrong(problem: String) -> Error {
    Error::Recording { problem }
}

/// Chrome traces count in microseconds, with fractions.
fn microseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1e6
}

fn write(path: &Path, content: &Value) -> Result<(), Error> {
    let written = std::fs::write(path, format!("{content:#}\n"));
    written.map_err(|source| Error::WriteRecording { path: path.to_owned(), source })
}
