//! The step that times launches: every op at a few sizes, and the `relu` of the vendor's tutorial; beside each, what a core does in
//! it and what the cost model says.

use std::time::Instant;

use gpsimd_emulator::cost::CostModel;
use gpsimd_emulator::{DType, Engine, LaunchReport, Mode, Op, OpLibrary, Operations, Tensor};

use super::case::{Case, is_second_phase};
use super::drawn;
use super::kept::{Kept, key};
use super::launches::{self, Launch};
use super::libraries::Built;
use super::progress::Progress;
use super::report::{Quartiles, Time, TimeOutcome, Work};
use super::session::{Session, Setting, share};
use super::worker::Repeat;
use crate::causes;
use crate::operands::Operands;
use crate::profile::calibration;
use crate::profile::operands::tensor;

/// Seconds for the repetitions of a launch: as many as are enough, and where there is little time, so many parts of it.
const LAUNCH_SECONDS: f64 = 1.0;
const LAUNCHES: f64 = 100.0;

/// What is timed.
pub(super) struct Times<'a> {
    pub(super) setting: &'a Setting<'a>,
    /// The ops that are meant; all if there are none.
    pub(super) ops: &'a [String],
    pub(super) seed: u64,
    /// Seconds for all; as long as it takes if there are none.
    pub(super) seconds: Option<u64>,
    /// When no other launch is begun.
    pub(super) end: Option<Instant>,
    /// What else results depend on: versions.
    pub(super) fingerprint: &'a str,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Timed {
    pub(super) times: Vec<Time>,
    /// What failed of libraries as a whole.
    pub(super) failures: Vec<String>,
}

/// A launch that is timed, with its operands.
struct Timeable {
    op: Op,
    operands: Operands,
    result: gpsimd_emulator::TensorType,
}

impl Times<'_> {
    /// Times the ops of the libraries.
    pub(super) fn run(&self, libraries: &[Built], kept: &mut Kept) -> anyhow::Result<Timed> {
        let mut timed = Timed::default();
        for (index, library) in libraries.iter().enumerate() {
            let end = share(self.end, libraries.len() - index);
            let mut session = Session::new(self.setting, library, end);
            let cases = self.cases(library);
            let progress = Progress::new(&format!("times of {}", library.name), cases.len());
            for case in &cases {
                progress.next(&format!("{} {}", case.op.name(), case.name));
                self.time(library, case, &mut session, kept, &mut timed)?;
            }
            progress.done();
            timed.failures.extend(session.given_up.take().map(|why| format!("{}: {why}", library.name)));
        }
        Ok(timed)
    }

    fn repeat(&self) -> Repeat {
        let seconds = self.seconds.map_or(LAUNCH_SECONDS, |seconds| LAUNCH_SECONDS.min(seconds as f64 / LAUNCHES));
        Repeat { warm_up: 3, least: 5, most: 200, seconds }
    }

    /// Every op at every size, all at one size before the next.
    fn cases(&self, library: &Built) -> Vec<Case> {
        let ops: Vec<_> = library.native.ops().filter(|op| !is_second_phase(&library.native, op)).collect();
        if library.is_tutorial {
            return calibration::CALLS.iter().flat_map(|len| ops.iter().filter_map(|op| tutorial(op, *len))).collect();
        }
        let is_chosen = |op: &&Op| self.ops.is_empty() || self.ops.iter().any(|name| name == op.name());
        let ops: Vec<_> = ops.iter().filter(is_chosen).collect();
        let of =
            |(rows, columns)| ops.iter().filter_map(move |op| drawn::case(op, dtype(op), rows, columns, self.seed));
        drawn::TIMED.into_iter().flat_map(of).collect()
    }

    /// Times the launches of a case.
    fn time(
        &self,
        library: &Built,
        case: &Case,
        session: &mut Session<'_>,
        kept: &mut Kept,
        timed: &mut Timed,
    ) -> anyhow::Result<()> {
        let key = key(&["time", &library.digest, &case.name, &case.digest(), self.fingerprint]);
        if let Some(times) = kept.get::<Vec<Time>>(&key) {
            timed.times.extend(times);
            return Ok(());
        }
        let time = |launch: &str| Time {
            library: library.name.clone(),
            op: case.op.name().into(),
            launch: launch.into(),
            operands: case.shown(),
            cores: Vec::new(),
            modelled: None,
            outcome: TimeOutcome::NotTried { why: String::new() },
        };
        let not_tried = |why| Time { outcome: TimeOutcome::NotTried { why }, ..time(case.op.name()) };
        if let Some(why) = session.closed() {
            timed.times.push(not_tried(why));
            return Ok(());
        }
        let launches = match launches_of(library, case) {
            Ok(launches) => launches,
            Err(error) => {
                timed.times.push(not_tried(causes(&error)));
                return Ok(());
            }
        };
        let (repeat, mut found) = (self.repeat(), Vec::new());
        for one in &launches {
            let Timeable { op, operands, result } = one;
            let launch = Launch { op, operands, result: *result };
            let report = library.counting.as_ref().and_then(|library| count(library, one).ok());
            let outcome = match session.time(&launch, repeat) {
                Ok(seconds) => Quartiles::of(seconds, repeat.warm_up).map_or_else(
                    || TimeOutcome::Failed { error: "the process answered without seconds".into() },
                    TimeOutcome::Measured,
                ),
                Err(error) => match session.closed().filter(|why| why == super::session::STOPPED) {
                    Some(why) => TimeOutcome::NotTried { why },
                    None => TimeOutcome::Failed { error: causes(&error) },
                },
            };
            found.push(Time {
                cores: report.iter().flat_map(|report| report.cores.iter().map(work)).collect(),
                modelled: report.as_ref().map(|report| CostModel::default().seconds(report)),
                outcome,
                ..time(op.name())
            });
        }
        if found.iter().all(|time| matches!(time.outcome, TimeOutcome::Measured(_)) && !time.cores.is_empty()) {
            kept.put(&key, &found)?;
        }
        timed.times.extend(found);
        Ok(())
    }
}

/// A dtype that the op is timed with.
fn dtype(op: &Op) -> DType {
    let types = &op.descriptor().types;
    if types.is_empty() || types.iter().any(|parameter| parameter.dtypes.contains(&DType::F32)) {
        return DType::F32;
    }
    types[0].dtypes[0]
}

/// A call of the tutorial's.
fn tutorial(op: &Op, len: usize) -> Option<Case> {
    let x = tensor(1, DType::F32, &[len]).ok()?;
    Some(Case {
        op: op.clone(),
        name: format!("{len}"),
        operands: Operands { tensors: vec![x], scalars: Vec::new() },
        golden: None,
    })
}

/// The launches that a case is on the device, with operands as the native tier computes them.
fn launches_of(library: &Built, case: &Case) -> anyhow::Result<Vec<Timeable>> {
    let engine = Engine::builder().mode(Mode::Fast).build()?;
    let mut found = Vec::new();
    launches::run(&library.native, &case.op, &case.operands, &mut |launch| {
        found.push(Timeable { op: launch.op.clone(), operands: launch.operands.clone(), result: launch.result });
        Ok(launches::packed(&engine.call_all(launch.op, &launch.operands.views(), &launch.operands.scalars)?))
    })?;
    Ok(found)
}

fn count(library: &OpLibrary, launch: &Timeable) -> anyhow::Result<LaunchReport> {
    let engine = Engine::builder().mode(Mode::Fast).direct(false).build()?;
    let op = library.op(launch.op.name())?.first_phase();
    let views = launch.operands.views();
    let bound = op.bind(&views, &launch.operands.scalars)?;
    let mut outputs: Vec<_> = bound.output_types().iter().map(|ty| Tensor::zeros(*ty)).collect();
    Ok(engine.launch_bound(bound, outputs.iter_mut().map(Tensor::view_mut).collect())?)
}

fn work(core: &gpsimd_emulator::CoreReport) -> Work {
    let Operations { scalar, vector } = core.operations;
    Work {
        dmas: core.loads + core.stores,
        bytes: core.load_bytes + core.store_bytes,
        scalar: scalar.total() - scalar.divide,
        scalar_divisions: scalar.divide,
        vector: vector.total() - vector.divide,
        vector_divisions: vector.divide,
    }
}
