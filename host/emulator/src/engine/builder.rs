//! [`EngineBuilder`]: what an engine is built of.

use std::num::NonZero;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gpsimd_abi::TCM_ALIGN;
use gpsimd_descriptor::limits::{CORES, TCM_BYTES};

use super::copies::Copies;
use super::{Engine, Mode};
use crate::error::ConfigError;
use crate::interrupt::InterruptHandle;
use crate::print::PrintSink;
use crate::random_bits::random_bits;
use crate::recorder::Recorder;
use crate::workers::{SharedWorkers, ThreadPool, Workers};

/// How long a launch in checked mode may take, unless set.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// The environment variable that sets it, in seconds.
const TIME_LIMIT_VARIABLE: &str = "GPSIMD_TIME_LIMIT";

/// What an [`Engine`] is built of; see [`Engine::builder`].
#[derive(Clone, Debug, Default)]
pub struct EngineBuilder {
    cores: Option<usize>,
    tcm_bytes: Option<usize>,
    threads: Option<usize>,
    mode: Mode,
    copies_tiles: bool,
    traces: bool,
    recorder: Option<Recorder>,
    workers: Option<SharedWorkers>,
    schedule: Option<u64>,
    first_core: Option<usize>,
    print: PrintSink,
    time_limit: Option<Duration>,
    heeds_signal: bool,
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
        self.workers = Some(SharedWorkers::new(workers));
        self
    }

    /// Runs the cores one after another on the launching thread, in the order that the seed says, the same in every launch.
    /// No result depends on the order, unless a kernel is wrong.
    #[must_use]
    pub fn schedule(mut self, seed: u64) -> Self {
        self.schedule = Some(seed);
        self
    }

    /// Runs this core before the others, and all of them one after another on the launching thread: for a debugger, which then
    /// stops in this one. Goes before a [`schedule`](Self::schedule).
    #[must_use]
    pub fn first_core(mut self, core: usize) -> Self {
        self.first_core = Some(core);
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

    /// What keeps the data of every DMA and the buffers of TCM; nothing unless set, and then nothing is spent on it. What
    /// a native library does without the device table is not seen: as for [`trace`](Self::trace).
    #[must_use]
    pub fn record(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
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
        // After the first come those that are left, in their order.
        let order = self.first_core.map(|core| vec![core]).or_else(|| self.schedule.map(|seed| order(seed, cores)));
        let Self { tcm_bytes, mode, copies_tiles, traces, recorder, print, heeds_signal, .. } = self;
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
            recorder,
            workers,
            order,
            print,
            time_limit,
            interrupts,
            heeds_signal,
            pools,
            copies: Copies::default(),
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

pub(super) fn nanoseconds(limit: Duration) -> u64 {
    u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)
}

/// The cores in the order of a seed, each order as likely as any other (Fisher-Yates).
fn order(seed: u64, cores: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..cores).collect();
    for (end, bits) in (1..=cores).rev().zip(random_bits(seed)) {
        order.swap(end - 1, (bits >> 32) as usize % end);
    }
    order
}

fn own_workers(threads: Option<usize>, cores: usize) -> Result<SharedWorkers, ConfigError> {
    let available = || std::thread::available_parallelism().map_or(1, NonZero::get);
    // No use for more threads than cores.
    let threads = threads.unwrap_or_else(available).min(cores);
    let pool = ThreadPool::new(threads).map_err(|source| ConfigError::Threads { threads, source })?;
    Ok(SharedWorkers::new(Arc::new(pool)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_every_core_once_and_follows_from_the_seed() {
        let orders: Vec<_> = (0..50).map(|seed| order(seed, CORES)).collect();
        for order in &orders {
            let mut cores = order.clone();
            cores.sort_unstable();
            assert_eq!(cores, (0..CORES).collect::<Vec<_>>());
        }
        assert_eq!(order(3, CORES), orders[3]);
        assert!((0..CORES).all(|first| orders.iter().any(|order| order[0] == first)), "{orders:?}");
        assert_eq!(order(1, 1), [0]);
    }
}
