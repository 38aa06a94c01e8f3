//! [`Worker`]: a process that launches the ops of one library. A launch that hangs or crashes ends the process, and nothing
//! else.
//!
//! Requests and answers are lines of JSON on its standard input and output; tensors are in files beside it. On a device the
//! process is a Python with `torch_neuronx` (`neuron.py`), under emulation this program again (`emulated`).

pub(super) mod emulated;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use super::launches::Launch;

/// The program of the process on a device.
const NEURON: &str = include_str!("neuron.py");

/// Where tensors start in a file, so that a program can take them from there.
const ALIGN: usize = 64;

/// Lines of the end of a log that are told.
const LAST_LINES: usize = 6;

/// How often is looked whether somebody asked to stop.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a process may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(20);

/// What a process is asked.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    /// The op, or phase of one.
    op: String,
    /// File with the tensors.
    file: PathBuf,
    /// Where they are in it, and what they are.
    tensors: Vec<Placed>,
    /// Sizes.
    sizes: Vec<usize>,
    /// Bits of the scalars.
    params: Vec<i32>,
    /// File for the bytes of the result.
    result: PathBuf,
    /// To be launched again and again, for its seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<Repeat>,
}

/// A tensor in a file.
#[derive(Serialize, Deserialize)]
struct Placed {
    dtype: String,
    shape: Vec<usize>,
    at: usize,
}

/// How often a launch is repeated.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Repeat {
    /// Launches before those that count.
    pub(super) warm_up: usize,
    /// Launches that count, at least.
    pub(super) least: usize,
    /// And at most.
    pub(super) most: usize,
    /// Seconds after which no other is begun.
    pub(super) seconds: f64,
}

/// What a process answers.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Why there is nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The first one: what it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// With that, versions by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    versions: Vec<(String, String)>,
    /// Of a launch, dtype and shape of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<(String, Vec<usize>)>,
    /// Of launches that are timed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seconds: Vec<f64>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkerError {
    /// The process says so, and goes on.
    #[error("{0}")]
    Refused(String),
    /// It ended.
    #[error("the process ended ({status}){}", if .log.is_empty() { String::new() } else { format!(" after\n{}", .log) })]
    Died {
        /// How.
        status: String,
        /// What it printed last.
        log: String,
    },
    /// It took too long, and was ended.
    #[error("no answer within {} s{}", .limit.as_secs(), if .log.is_empty() { String::new() } else { format!("; it printed last\n{}", .log) })]
    TimeLimit {
        /// What it had.
        limit: Duration,
        /// What it printed last.
        log: String,
    },
    /// Somebody asked for it.
    #[error("stopped")]
    Stopped,
}

/// What to start.
pub(super) enum Program<'a> {
    /// This Python, on the library for the device of this name.
    Neuron { python: &'a Path, name: &'a str },
    /// This program.
    Emulated,
}

/// A process and what it said of itself.
pub(super) struct Worker {
    child: Child,
    requests: Option<ChildStdin>,
    answers: Receiver<String>,
    log: PathBuf,
    folder: tempfile::TempDir,
    /// What it runs on.
    pub(super) device: String,
    /// Versions of what it has loaded, by name.
    pub(super) versions: Vec<(String, String)>,
}

impl Worker {
    /// Starts the process and waits until it has loaded the library. What it prints is in the file `log`.
    pub(super) fn start(
        program: &Program<'_>,
        library: &Path,
        log: &Path,
        limit: Duration,
        stop: &AtomicBool,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("gpsimd-bring-up-").tempdir().context("cannot make a folder")?;
        let mut command = match program {
            Program::Neuron { python, name } => {
                let script = folder.path().join("neuron.py");
                fs::write(&script, NEURON).with_context(|| format!("cannot write {}", script.display()))?;
                let mut command = Command::new(python);
                command.arg(script).arg(library).arg(name).env("PYTHONUNBUFFERED", "1");
                command.envs(super::host::environment_for_neuron());
                command
            }
            Program::Emulated => {
                let mut command = Command::new(std::env::current_exe().context("this program has no path")?);
                command.arg("bring-up-worker").arg(library);
                command
            }
        };
        let printed = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        // Not in the group of the terminal: Ctrl-C is for this process to handle, which ends the group.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(printed).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let requests = child.stdin.take();
        let output = child.stdout.take().context("it has one")?;
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            // Ends with the process, or with the worker.
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let (device, versions) = (String::new(), Vec::new());
        let mut worker = Self { child, requests, answers, log: log.into(), folder, device, versions };
        let hello = worker.answer(limit, stop)?;
        worker.device = hello.device.context("the process does not say what it runs on")?;
        worker.versions = hello.versions;
        Ok(worker)
    }

    /// The bytes of a launch's result.
    pub(super) fn launch(
        &mut self,
        launch: &Launch<'_>,
        limit: Duration,
        stop: &AtomicBool,
    ) -> anyhow::Result<Vec<u8>> {
        let request = self.request(launch, None)?;
        let answer = self.ask(&request, limit, stop)?;
        let expected = (launch.result.dtype().name().to_owned(), launch.result.shape().to_vec());
        let found = answer.result.context("the process answered without a result")?;
        if found != expected {
            let shown = |(dtype, shape): &(String, Vec<usize>)| format!("{dtype} {shape:?}");
            let problem = format!("the result is {}, expected {}", shown(&found), shown(&expected));
            return Err(WorkerError::Refused(problem).into());
        }
        fs::read(&request.result).with_context(|| format!("cannot read {}", request.result.display()))
    }

    /// The seconds of launches.
    pub(super) fn time(
        &mut self,
        launch: &Launch<'_>,
        repeat: Repeat,
        limit: Duration,
        stop: &AtomicBool,
    ) -> anyhow::Result<Vec<f64>> {
        let request = self.request(launch, Some(repeat))?;
        Ok(self.ask(&request, limit, stop)?.seconds)
    }

    fn request(&self, launch: &Launch<'_>, time: Option<Repeat>) -> anyhow::Result<Request> {
        let (file, result) = (self.folder.path().join("operands"), self.folder.path().join("result"));
        let (mut bytes, mut tensors) = (Vec::new(), Vec::new());
        for tensor in &launch.operands.tensors {
            bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
            let (dtype, shape) = (tensor.ty().dtype().name().into(), tensor.ty().shape().to_vec());
            tensors.push(Placed { dtype, shape, at: bytes.len() });
            bytes.extend_from_slice(tensor.bytes());
        }
        fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        let (sizes, params) = (launch.operands.sizes(), launch.params());
        Ok(Request { op: launch.op.name().into(), file, tensors, sizes, params, result, time })
    }

    fn ask(&mut self, request: &Request, limit: Duration, stop: &AtomicBool) -> anyhow::Result<Answer> {
        let line = serde_json::to_string(request)? + "\n";
        let requests = self.requests.as_mut().context("it is open until the worker ends")?;
        // If the process is gone, that it has no answer says how.
        let _ = requests.write_all(line.as_bytes());
        Ok(self.answer(limit, stop)?)
    }

    fn answer(&mut self, limit: Duration, stop: &AtomicBool) -> Result<Answer, WorkerError> {
        let start = Instant::now();
        loop {
            match self.answers.recv_timeout(PAUSE) {
                Ok(line) => {
                    let answer: Answer = serde_json::from_str(&line)
                        .map_err(|error| WorkerError::Refused(format!("it answered what nobody asked ({error})")))?;
                    return answer
                        .error
                        .map_or(Ok(Answer { error: None, ..answer }), |error| Err(WorkerError::Refused(error)));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.end().map_or_else(|| "for no known reason".into(), |status| status.to_string());
                    return Err(WorkerError::Died { status, log: self.last_lines() });
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if stop.load(Ordering::Relaxed) {
                self.kill();
                return Err(WorkerError::Stopped);
            }
            if start.elapsed() >= limit {
                self.kill();
                return Err(WorkerError::TimeLimit { limit, log: self.last_lines() });
            }
        }
    }

    /// The last lines that it printed, those of a kernel before all others.
    fn last_lines(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let of_kernel: Vec<&str> = lines.iter().copied().filter(|line| line.contains("gpsimd: ")).collect();
        let lines = if of_kernel.is_empty() { lines } else { of_kernel };
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    fn kill(&mut self) {
        // With the compilers that it has started. That the group is gone already is not an error.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }

    /// Lets it end by itself, as the device wants it; or ends it.
    fn end(&mut self) -> Option<std::process::ExitStatus> {
        drop(self.requests.take());
        let start = Instant::now();
        while start.elapsed() < FAREWELL {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(PAUSE / 10);
        }
        self.kill();
        None
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
        self.kill();
    }
}
