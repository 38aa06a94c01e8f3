//! [`Index`]: all that a recorded launch did, as `index.json` has it and the page shows it.

use gpsimd_emulator::cost::CostModel;
use gpsimd_emulator::{Dma, Event, LaunchReport, RecordedCore, Recording, SourceLocation, TensorType, Transfer};
use serde::Serialize;

/// Version of the format of `index.json`.
const FORMAT: u32 = 1;

/// A recorded launch.
#[derive(Debug, Serialize)]
pub(super) struct Index {
    format: u32,
    #[serde(flatten)]
    about: About,
    /// A launch for each.
    pub(super) phases: Vec<Phase>,
    pub(super) cores: Vec<Core>,
}

/// What the launch was, and what came of it.
#[derive(Debug, Serialize)]
pub(super) struct About {
    pub(super) library: String,
    pub(super) op: String,
    /// In words: tier, mode, cores.
    pub(super) setting: String,
    /// In words: names, types and values.
    pub(super) operands: String,
    /// How the launch failed, if it did.
    pub(super) error: Option<String>,
    /// What a replay file says was found.
    pub(super) finding: Option<String>,
    pub(super) printed: Vec<String>,
    /// Bytes of a core's TCM pool.
    pub(super) tcm_bytes: usize,
    /// Bytes, in hexadecimal and as they lie in memory, that TCM repeats where nothing was written; none in fast mode.
    pub(super) unwritten: Option<String>,
    /// What the times of the steps are.
    pub(super) times: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Phase {
    pub(super) op: String,
    /// Which steps name by their index: operands, sizes, scalars, outputs.
    pub(super) tensors: Vec<Tensor>,
    /// Index of the first output; those after it are the others.
    pub(super) first_output: usize,
    /// When it begins: when every core has ended the phase before.
    begin_ns: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Tensor {
    pub(super) name: String,
    dtype: &'static str,
    shape: Vec<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Core {
    number: usize,
    /// In the folder, with the elements of the DMAs.
    pub(super) file: Option<String>,
    pub(super) steps: Vec<Step>,
    /// Steps that came after these and were not kept.
    pub(super) steps_left_out: u64,
}

/// A DMA, or a change of what is taken of TCM.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) phase: usize,
    /// `load`, `store`, `alloc` or `free`.
    pub(super) kind: &'static str,
    /// Index in the phase's tensors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tensor: Option<usize>,
    /// First element.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elements: Option<u64>,
    /// Where in the core's TCM pool, in bytes.
    tcm: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Of the kernel's source.
    line: Option<String>,
    begin_ns: u64,
    end_ns: u64,
    /// Name of the tensor in the core's file.
    pub(super) data: Option<String>,
}

/// What the cores computed before each DMA, of a library that counts.
pub(super) struct Counts<'a>(pub(super) &'a LaunchReport);

impl Counts<'_> {
    /// Whether these are the counts of the launch that was recorded: every core made the same DMAs.
    pub(super) fn are_of(&self, recordings: &[Recording]) -> bool {
        let cores = recordings.first().map_or(0, |recording| recording.cores.len());
        cores == self.0.traces.len() && (0..cores).all(|core| self.dmas(core).eq(recorded_dmas(recordings, core)))
    }

    fn dmas(&self, core: usize) -> impl Iterator<Item = (u32, Transfer, u32, u64, u64)> {
        self.0.traces[core].iter().filter_map(|step| step.dma).map(|dma| key(&dma, dma.phase))
    }
}

fn key(dma: &Dma, phase: u32) -> (u32, Transfer, u32, u64, u64) {
    (phase, dma.transfer, dma.tensor, dma.start, dma.bytes)
}

fn recorded_dmas(recordings: &[Recording], core: usize) -> impl Iterator<Item = (u32, Transfer, u32, u64, u64)> {
    recordings.iter().zip(0..).flat_map(move |(recording, phase)| {
        recording.cores[core].steps.iter().filter_map(move |step| match &step.event {
            Event::Dma { dma, .. } => Some(key(dma, phase)),
            _ => None,
        })
    })
}

impl Index {
    /// Of what was recorded of each phase.
    pub(super) fn new(about: About, recordings: &[Recording], counts: Option<&Counts<'_>>, model: &CostModel) -> Self {
        let cores = recordings.first().map_or(0, |recording| recording.cores.len());
        let mut cores: Vec<_> =
            (0..cores).map(|number| Core { number, file: None, steps: Vec::new(), steps_left_out: 0 }).collect();
        // What every core computes before its DMAs, in their order.
        let mut computed: Vec<_> = (0..cores.len())
            .map(|core| {
                let trace = counts.map_or(&[][..], |counts| &counts.0.traces[core]);
                trace.iter().filter(|step| step.dma.is_some()).map(|step| model.compute(&step.operations).total())
            })
            .collect();
        let (mut phases, mut begin) = (Vec::new(), 0.0);
        for (phase, recording) in recordings.iter().enumerate() {
            phases.push(Phase::new(recording, begin));
            let mut end: f64 = begin;
            for (index, core) in cores.iter_mut().enumerate() {
                let mut clock = Clock { now: begin, model };
                let compute = |clock: &mut Clock<'_>| clock.now += computed[index].next().unwrap_or(0.0);
                core.add(phase, recording, &recording.cores[index], &mut clock, compute);
                end = end.max(clock.now);
            }
            begin = end;
        }
        Self { format: FORMAT, about, phases, cores }
    }

    /// What the launch was.
    pub(super) const fn about(&self) -> &About {
        &self.about
    }
}

/// Seconds of a core, by the cost model.
struct Clock<'a> {
    now: f64,
    model: &'a CostModel,
}

fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

impl Phase {
    fn new(recording: &Recording, begin: f64) -> Self {
        let tensor = |(name, ty): &(String, TensorType)| Tensor {
            name: name.clone(),
            dtype: ty.dtype().name(),
            shape: ty.shape().to_vec(),
        };
        Self {
            op: recording.op.clone(),
            tensors: recording.tensors.iter().map(tensor).collect(),
            first_output: recording.first_output,
            begin_ns: nanoseconds(begin),
        }
    }
}

impl Core {
    fn add(
        &mut self,
        phase: usize,
        recording: &Recording,
        recorded: &RecordedCore,
        clock: &mut Clock<'_>,
        mut compute: impl FnMut(&mut Clock<'_>),
    ) {
        self.steps_left_out += recorded.steps_left_out;
        for step in &recorded.steps {
            let line = step.location.as_deref().map(SourceLocation::to_string);
            let at = |clock: &Clock<'_>| nanoseconds(clock.now);
            let step = match &step.event {
                Event::Dma { dma, data } => {
                    compute(clock);
                    let begin_ns = at(clock);
                    clock.now += clock.model.dma(dma).total();
                    let element_bytes = recording.tensors[dma.tensor as usize].1.dtype().bytes() as u64;
                    Step {
                        phase,
                        kind: if dma.transfer == Transfer::Load { "load" } else { "store" },
                        tensor: Some(dma.tensor as usize),
                        start: Some(dma.start),
                        elements: Some(dma.bytes / element_bytes),
                        tcm: dma.tcm,
                        bytes: Some(dma.bytes),
                        line,
                        begin_ns,
                        end_ns: at(clock),
                        data: data.as_ref().map(|_| format!("{:06}", self.steps.len())),
                    }
                }
                Event::Alloc { tcm, bytes } => Step {
                    phase,
                    kind: "alloc",
                    tensor: None,
                    start: None,
                    elements: None,
                    tcm: *tcm,
                    bytes: Some(*bytes),
                    line,
                    begin_ns: at(clock),
                    end_ns: at(clock),
                    data: None,
                },
                Event::Free { tcm } => Step {
                    phase,
                    kind: "free",
                    tensor: None,
                    start: None,
                    elements: None,
                    tcm: *tcm,
                    bytes: None,
                    line,
                    begin_ns: at(clock),
                    end_ns: at(clock),
                    data: None,
                },
            };
            self.steps.push(step);
        }
    }
}
