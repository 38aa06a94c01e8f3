//! [`Launcher`]: launches ops in the settings that are compared.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use gpsimd_emulator::{Engine, Launch, LaunchError, Op, PrintSink, Recorder, Tensor, ThreadPool};

use super::SETTINGS;
use super::flush_to_zero::FlushToZero;
use super::reference::Process;
use crate::libraries::Libraries;
use crate::operands::Operands;
use crate::replay::{Replay, Setting};
use crate::tier::Tier;

/// Engines that are kept: each has pools of its own.
const KEPT_ENGINES: usize = 200;

/// How long a launch may take, unless set. A core of the isa tier is hundreds of times slower.
const TIME_LIMIT: Duration = Duration::from_secs(10);
const ISA_FACTOR: u32 = 6;

/// What a launch returns.
pub(crate) type Outcome = Result<Vec<Tensor>, LaunchError>;

/// Launches ops in settings, whose engines it keeps.
pub(crate) struct Launcher {
    libraries: Libraries,
    engines: HashMap<Setting, Engine>,
    pools: HashMap<usize, Arc<ThreadPool>>,
    time_limit: Duration,
    /// What calls references, if there is one, once it was asked for.
    references: OnceCell<Option<Process>>,
    /// Whether Ctrl-C came.
    interrupted: Arc<AtomicBool>,
    /// Where every launch is written down before it is made: what a launch that ends this process leaves.
    witness: Option<PathBuf>,
    recorder: Option<Recorder>,
    first_core: Option<usize>,
    print: PrintSink,
}

/// The check is to end: Ctrl-C came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interrupted {
    /// While the op library was built.
    #[error("interrupted before anything was checked")]
    Building,
    /// While ops were checked.
    #[error("interrupted; --resume goes on from here")]
    Checking,
}

impl Launcher {
    pub(crate) fn new(libraries: Libraries) -> Self {
        Self {
            libraries,
            engines: HashMap::new(),
            pools: HashMap::new(),
            time_limit: TIME_LIMIT,
            references: OnceCell::new(),
            interrupted: Arc::default(),
            witness: None,
            recorder: None,
            first_core: None,
            print: PrintSink::Function(Arc::new(|_| {})),
        }
    }

    /// Ends launches when `interrupted` is set, as Ctrl-C does; writes them down in `witness` before they are made.
    pub(crate) fn watched(mut self, interrupted: &Arc<AtomicBool>, witness: Option<PathBuf>) -> Self {
        self.interrupted = Arc::clone(interrupted);
        self.witness = witness;
        self
    }

    /// Whether Ctrl-C came.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    pub(crate) fn libraries(&self) -> &Libraries {
        &self.libraries
    }

    /// What calls references of the library's ops, and ops through `PyTorch`; none without a Python that has that.
    ///
    /// # Errors
    /// When Python cannot be started.
    pub(super) fn references(&mut self) -> anyhow::Result<Option<&mut Process>> {
        if self.references.get().is_none() {
            let library = self.libraries.source().context("a library without a crate has no references")?;
            let _ = self.references.set(Process::start(library)?);
        }
        Ok(self.references.get_mut().and_then(Option::as_mut))
    }

    /// How long launches may take from now on; unless set, as at the start.
    pub(crate) fn set_time_limit(&mut self, limit: Option<Duration>) {
        self.time_limit = limit.unwrap_or(TIME_LIMIT);
        self.engines.clear();
    }

    /// Records launches from now on.
    pub(crate) fn record(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
        self.engines.clear();
    }

    /// Runs this core before the others from now on, all of them on this thread.
    pub(crate) fn set_first_core(&mut self, core: usize) {
        self.first_core = Some(core);
        self.engines.clear();
    }

    /// Where kernels print to from now on; nowhere unless set.
    pub(crate) fn set_print(&mut self, print: PrintSink) {
        self.print = print;
        self.engines.clear();
    }

    /// Launches an op.
    ///
    /// # Errors
    /// [`Interrupted`], and when the setting's tier is not there, or its engine cannot be built: nothing that the kernel does.
    pub(crate) fn launch(&mut self, op: &str, operands: &Operands, setting: &Setting) -> anyhow::Result<Outcome> {
        if self.is_interrupted() {
            return Err(Interrupted::Checking.into());
        }
        let op = self.libraries.on(setting.tier)?.op(op)?;
        if let Some(witness) = &self.witness {
            let mut replay = Replay::new(self.libraries.native().descriptor(), op.descriptor(), operands);
            replay.settings = vec![setting.clone()];
            SETTINGS.clone_into(&mut replay.judge);
            replay.write(witness)?;
        }
        let engine = self.engine(setting)?;
        for _ in 0..setting.launches_before {
            let tensors = operands.tensors.iter().map(|tensor| Tensor::zeros(tensor.ty())).collect();
            let other = Operands { tensors, scalars: operands.scalars.clone() };
            // Of zeros, which the op may refuse.
            let _ = call(engine, &op, &other, false);
        }
        let flush = setting.flush_to_zero.then(FlushToZero::set);
        let outcome = call(engine, &op, operands, setting.in_place);
        drop(flush);
        if matches!(&outcome, Err(error) if error.is_interrupted()) {
            return Err(Interrupted::Checking.into());
        }
        Ok(outcome)
    }

    fn engine(&mut self, setting: &Setting) -> anyhow::Result<&Engine> {
        // What is not the engine's.
        let key = Setting { flush_to_zero: false, in_place: false, launches_before: 0, ..setting.clone() };
        if self.engines.len() >= KEPT_ENGINES && !self.engines.contains_key(&key) {
            self.engines.clear();
        }
        if !self.engines.contains_key(&key) {
            let factor = if setting.tier == Tier::Isa { ISA_FACTOR } else { 1 };
            let mut builder = Engine::builder()
                .cores(setting.cores)
                .mode(setting.mode.into())
                .direct(!setting.copies)
                .print(self.print.clone())
                .time_limit(self.time_limit * factor)
                .interrupt_on_sigint(true);
            if let Some(core) = self.first_core {
                builder = builder.first_core(core);
            }
            if let Some(recorder) = &self.recorder {
                builder = builder.record(recorder.clone());
            }
            if let Some(bytes) = setting.tcm_bytes {
                builder = builder.tcm_bytes(bytes);
            }
            builder = match setting.schedule {
                Some(seed) => builder.schedule(seed).threads(1),
                None if setting.threads == 1 => builder.threads(1),
                None => builder.workers(self.pool(setting.threads)?),
            };
            self.engines.insert(key.clone(), builder.build()?);
        }
        Ok(&self.engines[&key])
    }

    fn pool(&mut self, threads: usize) -> anyhow::Result<Arc<ThreadPool>> {
        if let Some(pool) = self.pools.get(&threads) {
            return Ok(Arc::clone(pool));
        }
        let pool = Arc::new(ThreadPool::new(threads)?);
        self.pools.insert(threads, Arc::clone(&pool));
        Ok(pool)
    }
}

/// Launches an op; in place, if it replaces operands and all of these have the types of what replaces them.
fn call(engine: &Engine, op: &Op, operands: &Operands, is_in_place: bool) -> Outcome {
    let views = operands.views();
    if !is_in_place {
        return engine.call_all(op, &views, &operands.scalars);
    }
    let mut outputs = Vec::new();
    let bound = op.bind(&views, &operands.scalars)?;
    let mut replaced = Vec::new();
    for (index, ty) in bound.output_types().iter().enumerate() {
        match op.descriptor().replaced_tensor(index) {
            Some(operand) => {
                outputs.push(operands.tensors[operand].clone());
                replaced.push(operand);
            }
            None => outputs.push(Tensor::zeros(*ty)),
        }
    }
    let others = views.iter().enumerate().filter(|(index, _)| !replaced.contains(index));
    let others: Vec<_> = others.map(|(_, view)| *view).collect();
    let outputs_of = outputs.iter_mut().map(Tensor::view_mut).collect();
    engine.launch_in_place(op, Launch { tensors: &others, scalars: &operands.scalars, outputs: outputs_of })?;
    Ok(outputs)
}

/// Whether an op can be launched in place on these operands.
pub(crate) fn can_be_in_place(op: &Op, operands: &Operands) -> bool {
    if !op.descriptor().replaces_any() {
        return false;
    }
    let types = operands.types();
    op.shape(&types, &operands.sizes()).is_ok_and(|outputs| {
        outputs.iter().enumerate().all(|(index, output)| {
            op.descriptor().replaced_tensor(index).is_none_or(|operand| types[operand] == *output)
        })
    })
}
