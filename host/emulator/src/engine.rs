//! [`Engine`]: the emulated GPSIMD engine.

use std::num::NonZero;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use gpsimd_abi::TCM_ALIGN;
use gpsimd_descriptor::limits::{CORES, TCM_BYTES};

use crate::bound_op::BoundOp;
use crate::checks::{self, RunResult};
use crate::emulated_core::{CoreOutcome, EmulatedCore};
use crate::error::{ConfigError, KernelError, LastDma, LaunchError, Misuse, OperandError};
use crate::guard::Reason;
use crate::interrupt::InterruptHandle;
use crate::launch::Launch;
use crate::library::Op;
use crate::operands;
use crate::prepared_launch::PreparedLaunch;
use crate::print::PrintSink;
use crate::report::LaunchReport;
use crate::tcm::{Poison, TcmMemory};
use crate::tensor::{Tensor, TensorType, TensorView, TensorViewMut};
use crate::watchdog::{Interrupts, Watched};
use crate::workers::{ThreadPool, Workers};

/// Launches on less data than this stay on the launching thread in fast mode: waking others takes longer than the work.
const INLINE_BYTES: usize = 64 * 1024;

/// How long a launch in checked mode may take, unless set.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// The environment variable that sets it, in seconds.
const TIME_LIMIT_VARIABLE: &str = "GPSIMD_TIME_LIMIT";

/// How much a launch is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Everything that would be silent corruption on the device is an error. Runs every launch twice, with different
    /// content of TCM at the start.
    #[default]
    Checked,
    /// For training. Cores read and write tensors in place of DMA copies. TCM that was never written, and operands that
    /// are read after they were replaced, are not seen.
    Fast,
}

/// An emulated GPSIMD engine: 8 cores on host threads.
///
/// Can be used from many threads at once; launches do not wait for each other. The result of a launch, errors included,
/// does not depend on the number of threads. In a process forked since, which has no thread but the one that forked,
/// launches stay on the launching thread.
#[derive(Debug)]
pub struct Engine {
    cores: usize,
    /// None for that of each library.
    tcm_bytes: Option<usize>,
    mode: Mode,
    copies_tiles: bool,
    traces: bool,
    workers: SharedWorkers,
    print: PrintSink,
    /// Nanoseconds that a launch may take; 0 for any number.
    time_limit: AtomicU64,
    interrupts: InterruptHandle,
    heeds_signal: bool,
    /// Pools that no core uses now.
    pools: Mutex<Vec<TcmMemory>>,
    /// The process that the engine was built in.
    process: u32,
}

/// What an [`Engine`] is built of; see [`Engine::builder`].
#[derive(Clone, Debug, Default)]
pub struct EngineBuilder {
    cores: Option<usize>,
    tcm_bytes: Option<usize>,
    threads: Option<usize>,
    mode: Mode,
    copies_tiles: bool,
    traces: bool,
    workers: Option<SharedWorkers>,
    print: PrintSink,
    time_limit: Option<Duration>,
    heeds_signal: bool,
}

#[derive(Clone)]
struct SharedWorkers(Arc<dyn Workers>);

impl std::fmt::Debug for SharedWorkers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} threads", self.0.threads())
    }
}

impl EngineBuilder {
    /// Cores, 1 to 8; 8 unless set.
    #[must_use]
    pub fn cores(mut self, cores: usize) -> Self {
        self.cores = Some(cores);
        self
    }

    /// Bytes of each core's TCM pool, a multiple of 64 up to 64 KiB. Unless set, what the library has on the device:
    /// [`LibraryDescriptor::tcm_bytes`](gpsimd_descriptor::LibraryDescriptor::tcm_bytes). With more, a kernel may fit
    /// here and not there.
    #[must_use]
    pub fn tcm_bytes(mut self, bytes: usize) -> Self {
        self.tcm_bytes = Some(bytes);
        self
    }

    /// Host threads of the engine's own pool; as many as there are CPUs unless set. Not used with
    /// [`workers`](Self::workers).
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Threads of the host program to run on, instead of a pool of the engine's own.
    #[must_use]
    pub fn workers(mut self, workers: Arc<dyn Workers>) -> Self {
        self.workers = Some(SharedWorkers(workers));
        self
    }

    /// How much is checked; everything unless set.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether cores may read and write tensors in place of DMA copies in fast mode; they may unless set. Without it
    /// every tile is copied to TCM and back, as on the device and as op packages do in any mode: what that costs is the
    /// difference. No result depends on it, and checked mode always copies.
    #[must_use]
    pub fn direct(mut self, direct: bool) -> Self {
        self.copies_tiles = !direct;
        self
    }

    /// Whether launches report what every core did in its order; they do not unless set. A native library in fast mode
    /// has nothing to report, unless it [copies](Self::direct).
    #[must_use]
    pub fn trace(mut self, trace: bool) -> Self {
        self.traces = trace;
        self
    }

    /// Where kernels print to; standard error unless set.
    #[must_use]
    pub fn print(mut self, sink: PrintSink) -> Self {
        self.print = sink;
        self
    }

    /// How long a launch may take, its two runs in checked mode together; zero for any time. Past it, the launch is an
    /// error that names the core and its last DMA.
    ///
    /// Unless set, 60 s in checked mode, or what the environment variable `GPSIMD_TIME_LIMIT` says in seconds (0 for
    /// any time), and any time in fast mode.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Whether `SIGINT` (Ctrl-C) ends launches that take longer than 0.1 s, if the program has a handler for it, which
    /// is called as before; it does not unless set. Without a handler the program ends.
    #[must_use]
    pub fn interrupt_on_sigint(mut self, interrupt: bool) -> Self {
        self.heeds_signal = interrupt;
        self
    }

    /// The engine.
    ///
    /// # Errors
    /// When a number is out of its range, or the system refuses the threads.
    pub fn build(self) -> Result<Engine, ConfigError> {
        let cores = self.cores.unwrap_or(CORES);
        if !(1..=CORES).contains(&cores) {
            return Err(ConfigError::Cores { found: cores });
        }
        let is_pool = |bytes: usize| (TCM_ALIGN..=TCM_BYTES).contains(&bytes) && bytes.is_multiple_of(TCM_ALIGN);
        if let Some(found) = self.tcm_bytes.filter(|bytes| !is_pool(*bytes)) {
            return Err(ConfigError::TcmBytes { found });
        }
        let workers = self.workers.map_or_else(|| own_workers(self.threads, cores), Ok)?;
        let Self { tcm_bytes, mode, copies_tiles, traces, print, heeds_signal, .. } = self;
        let time_limit = match (self.time_limit, mode) {
            (Some(limit), _) => limit,
            (None, Mode::Checked) => time_limit_of_environment()?.unwrap_or(TIME_LIMIT),
            (None, Mode::Fast) => Duration::ZERO,
        };
        let (interrupts, pools) = (InterruptHandle::default(), Mutex::default());
        let time_limit = AtomicU64::new(nanoseconds(time_limit));
        Ok(Engine {
            cores,
            tcm_bytes,
            mode,
            copies_tiles,
            traces,
            workers,
            print,
            time_limit,
            interrupts,
            heeds_signal,
            pools,
            process: std::process::id(),
        })
    }
}

fn time_limit_of_environment() -> Result<Option<Duration>, ConfigError> {
    let Some(found) = std::env::var_os(TIME_LIMIT_VARIABLE).filter(|text| !text.is_empty()) else { return Ok(None) };
    let seconds = found.to_str().and_then(|text| text.trim().parse().ok());
    let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let found = || found.to_string_lossy().into_owned();
    limit.map(Some).ok_or_else(|| ConfigError::TimeLimit { variable: TIME_LIMIT_VARIABLE, found: found() })
}

fn nanoseconds(limit: Duration) -> u64 {
    u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)
}

fn own_workers(threads: Option<usize>, cores: usize) -> Result<SharedWorkers, ConfigError> {
    let available = || std::thread::available_parallelism().map_or(1, NonZero::get);
    // No use for more threads than cores.
    let threads = threads.unwrap_or_else(available).min(cores);
    let pool = ThreadPool::new(threads).map_err(|source| ConfigError::Threads { threads, source })?;
    Ok(SharedWorkers(Arc::new(pool)))
}

impl Engine {
    /// What an engine is built of, everything at its default: 8 cores with the TCM of the device, checked, all CPUs.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Cores of the engine.
    pub const fn cores(&self) -> usize {
        self.cores
    }

    /// Bytes of each core's TCM pool in a launch of `op`.
    pub fn tcm_bytes(&self, op: &Op) -> usize {
        self.tcm_bytes.unwrap_or_else(|| op.tcm_bytes())
    }

    /// How much is checked.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Changes how long launches that begin from now on may take: see [`EngineBuilder::time_limit`].
    pub fn set_time_limit(&self, limit: Duration) {
        self.time_limit.store(nanoseconds(limit), Ordering::Relaxed);
    }

    /// What ends the launches that run on this engine, for a handler of Ctrl-C, say.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        self.interrupts.clone()
    }

    /// The type of the output of `op` for operands of these types; runs no kernel.
    ///
    /// # Errors
    /// When the operands do not fit the descriptor or the op's shape function refuses them.
    pub fn shape(&self, op: &Op, operands: &[TensorType]) -> Result<TensorType, OperandError> {
        op.shape(operands)
    }

    /// Runs `op` and waits for its end.
    ///
    /// # Errors
    /// When the operands do not fit the op, which is before anything runs, or the kernel fails or breaks a rule, after
    /// which the content of the output is unspecified.
    ///
    /// # Panics
    /// When the workers swallow a panic.
    pub fn launch(&self, op: &Op, launch: Launch<'_>) -> Result<LaunchReport, LaunchError> {
        let Launch { tensors, scalars, output } = launch;
        self.launch_bound(op.bind(tensors, scalars)?, output)
    }

    /// As [`Self::launch`], of an op whose operands have been verified.
    ///
    /// # Errors
    /// When the output is not of the [type](BoundOp::output_type) that it has to be of, and as [`Self::launch`].
    ///
    /// # Panics
    /// When the workers swallow a panic.
    #[expect(clippy::needless_pass_by_value, reason = "during the launch nothing else reaches the output")]
    pub fn launch_bound(&self, bound: BoundOp<'_>, output: TensorViewMut<'_>) -> Result<LaunchReport, LaunchError> {
        let launch = PreparedLaunch::new(bound, &output, self.cores)?;
        self.execute(launch)
    }

    /// Runs an op whose output replaces one of its operands, in the place of that operand: `launch.output` is the
    /// operand, and `launch.tensors` are the others.
    ///
    /// # Errors
    /// As [`Self::launch`]. In checked mode the operand is then what it was before the launch; in fast mode cores that
    /// had finished have replaced their part.
    ///
    /// # Panics
    /// When the workers swallow a panic.
    pub fn launch_in_place(&self, op: &Op, launch: Launch<'_>) -> Result<LaunchReport, LaunchError> {
        let launch = PreparedLaunch::in_place(op, launch, self.cores)?;
        self.execute(launch)
    }

    /// As [`Self::launch_in_place`], of an operand whose rows, along its first dimension, are tensors of their own.
    ///
    /// In fast mode cores work on the rows where they are. Otherwise they get a copy of the operand, in one piece.
    ///
    /// # Errors
    /// As [`Self::launch_in_place`], and when the rows are not of one type.
    ///
    /// # Panics
    /// When the workers swallow a panic.
    pub fn launch_in_rows(
        &self,
        op: &Op,
        tensors: &[TensorView<'_>],
        scalars: &[f32],
        rows: &mut [TensorViewMut<'_>],
    ) -> Result<LaunchReport, LaunchError> {
        if self.mode == Mode::Fast {
            let launch = PreparedLaunch::in_rows(op, tensors, scalars, rows, self.cores)?;
            return self.execute(launch);
        }
        let mut whole = Tensor::zeros(operands::stacked(op, rows)?);
        let mut start = 0;
        for row in &*rows {
            let row = row.bytes();
            whole.view_mut().bytes_mut()[start..start + row.len()].copy_from_slice(row);
            start += row.len();
        }
        let report = self.launch_in_place(op, Launch { tensors, scalars, output: whole.view_mut() })?;
        let mut rest = whole.bytes();
        for row in rows {
            let (part, after) = rest.split_at(row.ty().bytes());
            row.bytes_mut().copy_from_slice(part);
            rest = after;
        }
        Ok(report)
    }

    /// Runs `op` and returns its output, in memory of its own.
    ///
    /// # Errors
    /// As [`Self::launch`].
    ///
    /// # Panics
    /// When the workers swallow a panic.
    pub fn call(&self, op: &Op, tensors: &[TensorView<'_>], scalars: &[f32]) -> Result<Tensor, LaunchError> {
        let bound = op.bind(tensors, scalars)?;
        let mut output = Tensor::zeros(bound.output_type());
        self.launch_bound(bound, output.view_mut())?;
        Ok(output)
    }

    fn execute(&self, mut launch: PreparedLaunch<'_>) -> Result<LaunchReport, LaunchError> {
        launch.traces = self.traces;
        let limit = Some(self.time_limit.load(Ordering::Relaxed)).filter(|limit| *limit != 0);
        let interrupts = Interrupts::new(self.interrupts.requests(), self.heeds_signal);
        let watched = Watched::new(limit.map(Duration::from_nanos), interrupts);
        let _watch = watched.watch();
        match self.mode {
            Mode::Fast => {
                if self.copies_tiles {
                    launch.withhold_addresses();
                }
                self.conclude(&launch, &watched, &self.run_cores(&launch, &watched))
            }
            Mode::Checked => {
                launch.make_checked();
                let result = self.run_twice(&mut launch, &watched);
                if result.is_err() {
                    launch.restore();
                }
                result
            }
        }
    }

    /// Runs a launch twice with different content of TCM at the start, verifies both, and compares.
    fn run_twice(&self, launch: &mut PreparedLaunch<'_>, watched: &Watched<'_>) -> Result<LaunchReport, LaunchError> {
        launch.poison = Some(Poison::Signalling);
        let first = self.run_cores(launch, watched);
        let report = self.conclude(launch, watched, &first)?;
        // SAFETY: no core runs until the copy is made.
        let first_output = unsafe { launch.output() }.to_vec();

        launch.poison = Some(Poison::Large);
        let second = self.run_cores(launch, watched);
        if let Some(error) = stopped(launch, watched, &second) {
            return Err(error.into());
        }
        // SAFETY: no core runs any more.
        let second_output = unsafe { launch.output() };
        let first = RunResult { poison: Poison::Signalling, output: &first_output, outcomes: &first };
        let second = RunResult { poison: Poison::Large, output: second_output, outcomes: &second };
        checks::compare(launch, &first, &second).map_or(Ok(report), |error| Err(error.into()))
    }

    /// Shows what was printed; the report, or the error.
    fn conclude(
        &self,
        launch: &PreparedLaunch<'_>,
        watched: &Watched<'_>,
        outcomes: &[CoreOutcome],
    ) -> Result<LaunchReport, LaunchError> {
        let report = LaunchReport {
            cores: outcomes.iter().map(|outcome| outcome.report).collect(),
            printed: outcomes.iter().flat_map(|outcome| &outcome.printed).cloned().collect(),
            traces: if self.traces {
                outcomes.iter().map(|outcome| outcome.trace.clone()).collect()
            } else {
                Vec::new()
            },
        };
        self.print.emit(launch.op.name(), &report.printed);
        stopped(launch, watched, outcomes)
            .or_else(|| checks::judge(launch, outcomes))
            .map_or(Ok(report), |error| Err(error.into()))
    }

    /// Runs every core and waits for all.
    fn run_cores(&self, launch: &PreparedLaunch<'_>, watched: &Watched<'_>) -> Vec<CoreOutcome> {
        let outcomes = [const { OnceLock::new() }; CORES];
        let started = AtomicU32::new(0);
        // No worker is here to take a task, nor to unlock what was locked by one at the fork.
        let is_forked = self.process != std::process::id();
        let tcm_bytes = self.tcm_bytes(launch.op);
        let task = |core: usize| {
            // Workers are someone else's code: a core that they start twice must not run twice.
            if core >= self.cores || started.fetch_or(1 << core, Ordering::Relaxed) & (1 << core) != 0 {
                return;
            }
            let spare = if is_forked { None } else { self.lock_pools().pop() };
            let mut memory = TcmMemory::new(tcm_bytes, spare);
            let outcome = EmulatedCore::run(launch, watched, core as u32, &mut memory);
            if !is_forked {
                self.lock_pools().push(memory);
            }
            // The first and only to set it.
            let _ = outcomes[core].set(outcome);
        };
        let is_small = !launch.is_checked() && launch.bytes() < INLINE_BYTES;
        if !is_forked && !is_small && self.workers.0.threads() > 1 {
            self.workers.0.dispatch(self.cores, &task);
        }
        // All of them on this thread, or those that the workers forgot.
        (0..self.cores).for_each(task);
        outcomes
            .into_iter()
            .take(self.cores)
            .map(|outcome| outcome.into_inner().expect("the workers swallowed a panic"))
            .collect()
    }

    fn lock_pools(&self) -> std::sync::MutexGuard<'_, Vec<TcmMemory>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a launch that is being stopped: that of the lowest core that has one. None of its other cores matter.
fn stopped(launch: &PreparedLaunch<'_>, watched: &Watched<'_>, outcomes: &[CoreOutcome]) -> Option<KernelError> {
    let reason = watched.stop.get()?;
    outcomes.iter().find_map(|outcome| outcome.error.clone()).or_else(|| {
        // All cores had ended when it came, or had not begun; a launch that is complete stands.
        if outcomes.iter().all(|outcome| outcome.has_run) {
            return None;
        }
        let last = LastDma::NoCore;
        let misuse = match reason {
            Reason::TimeLimit => Misuse::TimeLimit { limit: watched.limit.unwrap_or_default(), last },
            Reason::Interrupt => Misuse::Interrupted { last },
        };
        Some(launch.error(None, misuse, None))
    })
}
