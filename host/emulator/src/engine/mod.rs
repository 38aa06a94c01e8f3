//! [`Engine`]: the emulated GPSIMD engine.

mod builder;
mod copies;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use gpsimd_descriptor::limits::CORES;

pub use self::builder::EngineBuilder;
use self::builder::nanoseconds;
use self::copies::Copies;
pub(crate) use self::copies::TensorCopy;
use crate::bound_op::BoundOp;
use crate::checks::{self, RunResult};
use crate::emulated_core::{CoreOutcome, EmulatedCore};
use crate::error::{KernelError, LastDma, LaunchError, Misuse, OperandError};
use crate::guard::Reason;
use crate::interrupt::InterruptHandle;
use crate::launch::Launch;
use crate::library::{Op, PhaseArgument};
use crate::operands;
use crate::prepared_launch::PreparedLaunch;
use crate::print::PrintSink;
use crate::recorder::Recorder;
use crate::report::LaunchReport;
use crate::scalar::Scalar;
use crate::tcm::{Poison, TcmMemory};
use crate::tensor::{Tensor, TensorView, TensorViewMut};
use crate::watchdog::{Interrupts, Watched};
use crate::workers::{self, SharedWorkers};

/// Launches on less data than this stay on the launching thread in fast mode: waking others takes longer than the work.
const INLINE_BYTES: usize = 64 * 1024;

/// Bytes of a tensor that one worker copies at a time, in checked mode.
const PART_BYTES: usize = 256 * 1024;

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
    recorder: Option<Recorder>,
    workers: SharedWorkers,
    /// The order in which cores run one after another, if there is one.
    order: Option<Vec<usize>>,
    print: PrintSink,
    /// Nanoseconds that a launch may take; 0 for any number.
    time_limit: AtomicU64,
    interrupts: InterruptHandle,
    heeds_signal: bool,
    /// Pools that no core uses now.
    pools: Mutex<Vec<TcmMemory>>,
    copies: Copies,
    /// The process that the engine was built in.
    process: u32,
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

    /// Runs `op` and waits for its end.
    ///
    /// # Errors
    /// When the operands do not fit the op, which is before anything runs, or the kernel fails or breaks a rule, after
    /// which the content of the output is unspecified.
    ///
    /// # Panics
    /// When the workers swallow a panic.
    pub fn launch(&self, op: &Op, launch: Launch<'_>) -> Result<LaunchReport, LaunchError> {
        let Launch { tensors, scalars, outputs } = launch;
        self.launch_bound(op.bind(tensors, scalars)?, outputs)
    }

    /// As [`Self::launch`], of an op whose operands have been verified.
    ///
    /// # Errors
    /// When the outputs are not of the [types](BoundOp::output_types) that they have to be of, and as [`Self::launch`].
    ///
    /// # Panics
    /// When the workers swallow a panic.
    #[expect(clippy::needless_pass_by_value, reason = "during the launch nothing else reaches the outputs")]
    pub fn launch_bound(
        &self,
        bound: BoundOp<'_>,
        outputs: Vec<TensorViewMut<'_>>,
    ) -> Result<LaunchReport, LaunchError> {
        let Some((second, arguments)) = bound.op.second_phase() else {
            return self.execute(PreparedLaunch::new(bound, &outputs, self.cores)?);
        };
        let mut workspace: Vec<_> = bound.phase_types.iter().map(|ty| Tensor::zeros(*ty)).collect();
        let (tensors, scalars) = (bound.tensors, bound.scalars);
        let views: Vec<_> = workspace.iter_mut().map(Tensor::view_mut).collect();
        let first = self.execute(PreparedLaunch::new(bound, &views, self.cores)?)?;
        let (mut passed, mut numbers) = (Vec::new(), Vec::new());
        for argument in arguments {
            match *argument {
                PhaseArgument::Output(output) => passed.push(workspace[output].view()),
                PhaseArgument::Tensor(tensor) => passed.push(tensors[tensor]),
                PhaseArgument::Scalar(scalar, _) => numbers.push(scalars[scalar]),
            }
        }
        let second = PreparedLaunch::new(second.bind(&passed, &numbers)?, &outputs, self.cores)?;
        Ok(first.followed_by(self.execute(second)?))
    }

    /// Runs an op with outputs that replace operands, in the place of those: in `launch.outputs` they stand for the
    /// outputs that replace them, and `launch.tensors` are the others.
    ///
    /// # Errors
    /// As [`Self::launch`]. In checked mode the operands are then what they were before the launch; in fast mode cores
    /// that had finished have replaced their part.
    ///
    /// # Panics
    /// When the workers swallow a panic.
    #[expect(clippy::needless_pass_by_value, reason = "during the launch nothing else reaches the outputs")]
    pub fn launch_in_place(&self, op: &Op, launch: Launch<'_>) -> Result<LaunchReport, LaunchError> {
        let launch = PreparedLaunch::in_place(op, &launch, self.cores)?;
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
        scalars: &[Scalar],
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
        let report = self.launch_in_place(op, Launch { tensors, scalars, outputs: vec![whole.view_mut()] })?;
        let mut rest = whole.bytes();
        for row in rows {
            let (part, after) = rest.split_at(row.ty().bytes());
            row.bytes_mut().copy_from_slice(part);
            rest = after;
        }
        Ok(report)
    }

    /// Runs `op`, which has one output, and returns that, in memory of its own.
    ///
    /// # Errors
    /// As [`Self::launch`], and when the op has several outputs.
    ///
    /// # Panics
    /// When the workers swallow a panic.
    pub fn call(&self, op: &Op, tensors: &[TensorView<'_>], scalars: &[Scalar]) -> Result<Tensor, LaunchError> {
        let expected = op.outputs().len();
        let wrong_count = || OperandError::OutputCount { op: op.name().into(), expected, found: 1 };
        if expected != 1 {
            return Err(wrong_count().into());
        }
        Ok(self.call_all(op, tensors, scalars)?.pop().ok_or_else(wrong_count)?)
    }

    /// Runs `op` and returns its outputs, in memory of their own.
    ///
    /// # Errors
    /// As [`Self::launch`].
    ///
    /// # Panics
    /// When the workers swallow a panic.
    pub fn call_all(
        &self,
        op: &Op,
        tensors: &[TensorView<'_>],
        scalars: &[Scalar],
    ) -> Result<Vec<Tensor>, LaunchError> {
        let bound = op.bind(tensors, scalars)?;
        let mut outputs: Vec<_> = bound.output_types().iter().map(|ty| Tensor::zeros(*ty)).collect();
        self.launch_bound(bound, outputs.iter_mut().map(Tensor::view_mut).collect())?;
        Ok(outputs)
    }

    fn execute(&self, mut launch: PreparedLaunch<'_>) -> Result<LaunchReport, LaunchError> {
        launch.traces = self.traces;
        launch.recorder.clone_from(&self.recorder);
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
                launch.make_checked(|bytes| self.copy(bytes));
                let result = self.run_twice(&mut launch, &watched);
                if result.is_err() {
                    launch.restore();
                }
                self.copies.keep(launch.into_copies());
                result
            }
        }
    }

    /// Runs a launch twice with different content of TCM at the start, verifies both, and compares.
    ///
    /// The second run compares what it stores with what is there, which takes less time than a copy of it. Where that
    /// differs, or an element is stored more than once, both run again, for a comparison of all that they leave.
    fn run_twice(&self, launch: &mut PreparedLaunch<'_>, watched: &Watched<'_>) -> Result<LaunchReport, LaunchError> {
        let first = self.run_poisoned(launch, watched, Poison::Signalling);
        launch.recorder = None;
        let report = self.conclude(launch, watched, &first)?;
        launch.compares = true;
        let second = self.run_poisoned(launch, watched, Poison::Large);
        launch.compares = false;
        if let Some(error) = stopped(launch, watched, &second) {
            return Err(error.into());
        }
        let difference = if launch.differs() {
            self.compare_outputs(launch, watched)?
        } else {
            checks::compare_behaviour(launch, &first, &second)
        };
        difference.map_or(Ok(report), |error| Err(error.into()))
    }

    /// Runs a launch twice more, and compares the outputs.
    fn compare_outputs(
        &self,
        launch: &mut PreparedLaunch<'_>,
        watched: &Watched<'_>,
    ) -> Result<Option<KernelError>, LaunchError> {
        let second = self.run_poisoned(launch, watched, Poison::Large);
        // SAFETY: no core runs until the copies are made.
        let copies: Vec<_> = (0..launch.outputs()).map(|output| self.copy(unsafe { launch.output(output) })).collect();
        let second_outputs: Vec<_> = copies.iter().map(|copy| &**copy).collect();
        // The last run: what it leaves is the result.
        let first = self.run_poisoned(launch, watched, Poison::Signalling);
        if let Some(error) = stopped(launch, watched, &first).or_else(|| stopped(launch, watched, &second)) {
            return Err(error.into());
        }
        // SAFETY: no core runs any more.
        let first_outputs: Vec<_> = (0..launch.outputs()).map(|output| unsafe { launch.output(output) }).collect();
        let first = RunResult { poison: Poison::Signalling, outputs: &first_outputs, outcomes: &first };
        let second = RunResult { poison: Poison::Large, outputs: &second_outputs, outcomes: &second };
        let difference = checks::compare(launch, &first, &second);
        self.copies.keep(copies);
        Ok(difference)
    }

    fn run_poisoned(&self, launch: &mut PreparedLaunch<'_>, watched: &Watched<'_>, poison: Poison) -> Vec<CoreOutcome> {
        launch.poison = Some(poison);
        self.run_cores(launch, watched)
    }

    /// A copy of a tensor.
    fn copy(&self, bytes: &[u8]) -> TensorCopy {
        let mut copy = self.copies.room(bytes.len());
        let parts = bytes.chunks(PART_BYTES).zip(copy.bytes_mut().chunks_mut(PART_BYTES)).collect();
        self.for_each(parts, |(from, to)| to.copy_from_slice(from));
        copy
    }

    /// Calls `work` with each part, on the workers.
    fn for_each<T: Send>(&self, parts: Vec<T>, work: impl Fn(T) + Sync) {
        // No worker is here in a process forked since.
        let workers = (self.process == std::process::id()).then_some(&*self.workers);
        workers::for_each(workers, parts, work);
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
        // On this thread; below are those that are left, none.
        self.order.iter().flatten().for_each(|core| task(*core));
        let is_small = !launch.is_checked() && launch.bytes() < INLINE_BYTES;
        if self.order.is_none() && !is_forked && !is_small && self.workers.threads() > 1 {
            self.workers.dispatch(self.cores, &task);
        }
        // All of them on this thread, or those that the workers forgot.
        (0..self.cores).for_each(task);
        let mut outcomes: Vec<_> = outcomes
            .into_iter()
            .take(self.cores)
            .map(|outcome| outcome.into_inner().expect("the workers swallowed a panic"))
            .collect();
        if let Some(recorder) = &launch.recorder {
            let cores = outcomes.iter_mut().map(|outcome| std::mem::take(&mut outcome.recorded)).collect();
            recorder.add(launch.recording(cores));
        }
        outcomes
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
