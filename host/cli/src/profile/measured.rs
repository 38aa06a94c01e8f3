//! [`Measured`]: a launch of an op, counted and put through the cost model.

use std::collections::BTreeMap;
use std::ops::Range;

use gpsimd_emulator::cost::{Cost, CostModel};
use gpsimd_emulator::{Dma, Engine, LaunchReport, Mode, Op, OperationCounts, Operations, Tensor, TraceStep, Transfer};
use serde::{Deserialize, Serialize};

use crate::operands::Operands;

/// An op on operands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Name of the op.
    pub(super) op: String,
    /// Name, dtype and shape of the tensor operands and the outputs.
    pub(super) tensors: Vec<String>,
    /// The cores, in order.
    pub(super) cores: Vec<Core>,
    /// Bytes that cannot be moved fewer: of every operand what is used of it in, and every output out, once.
    pub(super) least_bytes: u64,
    /// Rows of an operand that are loaded one by one, if there are any: of the operand that has the most.
    #[serde(default)]
    pub(super) rows_apart: Option<RowsApart>,
    /// Bytes of tile buffers of a core that its DMAs reach.
    pub(super) tile_bytes_used: u64,
    /// Bytes of those that it loads to: the least that it has to have at the same time, as the output can be made where an
    /// operand was.
    pub(super) tile_bytes_loaded: u64,
    /// Bytes of tile buffers that a core has.
    pub(super) tile_bytes: u64,
    /// Hot loops that the compiler makes no vectors of.
    pub(super) missed_loops: usize,
    /// What the model says the engine could do with the operations for every byte moved.
    pub(super) roof: Roof,
}

/// What a core did, and seconds of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Core {
    pub(super) transfers: u64,
    pub(super) bytes: u64,
    pub(super) scalar: OperationCounts,
    pub(super) vector: OperationCounts,
    /// Fixed costs of the DMAs.
    pub(super) setup: f64,
    /// Bytes of the DMAs.
    pub(super) transfer: f64,
    pub(super) compute: f64,
}

/// A version of the kernels in the vendor's tutorial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TutorialForm {
    /// TCM buffers of 1024 elements, on all cores.
    Tiles,
    /// Element-wise accessors, which work on one core alone.
    Elements,
}

/// Loads of an operand that do not start where the one before ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RowsApart {
    /// Name of the operand.
    pub(super) operand: String,
    /// How many there are.
    pub(super) loads: u64,
    /// Bytes of all of them.
    pub(super) bytes: u64,
}

/// A place under the roofline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Roof {
    /// Operations on floats for every byte moved.
    pub(super) intensity: f64,
    /// Operations on floats per second.
    pub(super) attained: f64,
    /// The most that there can be of these with this intensity.
    pub(super) attainable: f64,
}

fn of_floats(counts: &OperationCounts) -> u64 {
    counts.float + counts.fma + counts.divide + counts.compare
}

impl Core {
    pub(super) fn seconds(&self) -> f64 {
        self.setup + self.transfer + self.compute
    }
}

impl Measured {
    /// Launches `op`, whose library counts and has its tile buffers at these bytes of the TCM, and returns what it did, with the report.
    pub(super) fn launch(
        op: &Op,
        operands: &Operands,
        tile_buffers: &Range<u32>,
        missed_loops: usize,
        model: &CostModel,
    ) -> anyhow::Result<(Self, LaunchReport)> {
        let engine = Engine::builder().mode(Mode::Fast).direct(false).trace(true).build()?;
        let views = operands.views();
        let bound = op.bind(&views, &operands.scalars)?;
        let mut outputs: Vec<_> = bound.output_types().iter().map(|ty| Tensor::zeros(*ty)).collect();
        let report = engine.launch_bound(bound, outputs.iter_mut().map(Tensor::view_mut).collect())?;

        let costs = model.cores(&report);
        let cores: Vec<_> = report.cores.iter().zip(&costs).map(|(core, cost)| Core::of(core, cost)).collect();
        let bytes: u64 = cores.iter().map(|core| core.bytes).sum();
        let of_floats: u64 = cores.iter().map(|core| of_floats(&core.scalar) + of_floats(&core.vector)).sum();
        let intensity = of_floats as f64 / bytes.max(1) as f64;
        let tensors = op.descriptor().tensors().zip(&operands.tensors);
        let mut shown: Vec<_> = tensors.map(|((name, _), tensor)| show(name, tensor)).collect();
        shown.extend(op.outputs().iter().zip(&outputs).map(|(output, tensor)| show(&output.name, tensor)));
        let of_operands: usize = operands
            .tensors
            .iter()
            .enumerate()
            .map(|(index, tensor)| tensor.bytes().len().min(loaded_bytes(op, &report, index) as usize))
            .sum();
        let of_outputs: usize = outputs.iter().map(|tensor| tensor.bytes().len()).sum();
        // A size is the length of a tensor that nothing is loaded from.
        let of_scalars = operands.scalars.iter().filter_map(|scalar| scalar.bits()).count() * size_of::<i32>();
        let measured = Self {
            op: op.name().to_owned(),
            tensors: shown,
            least_bytes: (of_operands + of_scalars + of_outputs) as u64,
            rows_apart: rows_apart(op, &report, operands),
            tile_bytes_used: tile_bytes(&report, |_| true),
            tile_bytes_loaded: tile_bytes(&report, |dma| dma.transfer == Transfer::Load),
            tile_bytes: tile_buffers.len() as u64,
            missed_loops,
            roof: Roof {
                intensity,
                attained: of_floats as f64 / model.seconds(&report).max(f64::MIN_POSITIVE),
                attainable: (intensity * model.peak_bandwidth()).min(model.peak_operations()),
            },
            cores,
        };
        Ok((measured, report))
    }

    /// Whether it is known what the op computes.
    pub(super) fn counts_operations(&self) -> bool {
        self.cores.iter().any(|core| core.scalar.total() + core.vector.total() > 0)
    }

    /// The core that the engine waits for.
    pub(super) fn slowest(&self) -> &Core {
        let slowest = self.cores.iter().max_by(|a, b| a.seconds().total_cmp(&b.seconds()));
        slowest.expect("an engine has a core")
    }

    /// Seconds of the launch.
    pub(super) fn seconds(&self) -> f64 {
        self.slowest().seconds()
    }

    /// Seconds that the same operations and bytes take in the form of the vendor's tutorial (`customop-mlp-perf-opt`); none if it
    /// is not known what the op computes. Rows that lie apart take a DMA each there, too.
    pub(super) fn in_tutorial_form(&self, form: TutorialForm, model: &CostModel) -> Option<f64> {
        if !self.counts_operations() || self.bytes() == 0 {
            return None;
        }
        let elements = match form {
            TutorialForm::Tiles => 1024,
            TutorialForm::Elements => 1,
        };
        let mut scalar = OperationCounts::default();
        for core in &self.cores {
            scalar = scalar + core.scalar + core.vector;
        }
        let apart = self.rows_apart.as_ref().map_or(0, |rows| rows.loads);
        let transfers = self.bytes().div_ceil(elements * size_of::<f32>() as u64).max(apart);
        // No loop is vectorised: the tutorial names no flags, and the vendor's are `-Os`.
        let all = model.compute(&Operations { scalar, ..Operations::default() }) + model.dmas(transfers, self.bytes());
        Some(match form {
            TutorialForm::Tiles => all.total() / self.cores.len() as f64,
            TutorialForm::Elements => all.total(),
        })
    }

    /// The mean time of the cores over that of the slowest: 1 when they end together.
    pub(super) fn balance(&self) -> f64 {
        let sum: f64 = self.cores.iter().map(Core::seconds).sum();
        sum / self.cores.len() as f64 / self.seconds()
    }

    /// Bytes moved by all cores.
    pub(super) fn bytes(&self) -> u64 {
        self.cores.iter().map(|core| core.bytes).sum()
    }

    /// DMAs of all cores.
    pub(super) fn transfers(&self) -> u64 {
        self.cores.iter().map(|core| core.transfers).sum()
    }

    /// Bytes of a DMA, on average.
    pub(super) fn bytes_per_transfer(&self) -> f64 {
        self.bytes() as f64 / self.transfers().max(1) as f64
    }

    /// How near the DMAs of the slowest core are to their limit, 1: no byte moved twice, cores evenly loaded, and tiles so
    /// large that what is loaded fills the tile buffers.
    pub(super) fn dma_limit(&self) -> f64 {
        let slowest = self.slowest();
        if self.bytes() == 0 {
            return 1.0;
        }
        let least = self.least_bytes as f64 / self.bytes() as f64;
        let larger = self.tile_bytes as f64 / self.tile_bytes_loaded.max(1) as f64;
        let mean = |part: fn(&Core) -> f64| self.cores.iter().map(part).sum::<f64>() / self.cores.len() as f64;
        let limit = mean(|core| core.setup) * least / larger.max(1.0) + mean(|core| core.transfer) * least;
        limit / (slowest.setup + slowest.transfer)
    }
}

impl Core {
    fn of(core: &gpsimd_emulator::CoreReport, cost: &Cost) -> Self {
        let Operations { scalar, vector } = core.operations;
        Self {
            transfers: core.loads + core.stores,
            bytes: core.load_bytes + core.store_bytes,
            scalar,
            vector,
            setup: cost.setup,
            transfer: cost.transfer,
            compute: cost.compute,
        }
    }
}

fn show(name: &str, tensor: &Tensor) -> String {
    let ty = tensor.ty();
    let sizes: Vec<_> = ty.shape().iter().map(ToString::to_string).collect();
    format!("{name} {} {}", ty.dtype().name(), sizes.join("x"))
}

fn loads(op: &Op, trace: &[TraceStep], operand: usize) -> impl Iterator<Item = Dma> {
    let dmas = trace.iter().filter_map(|step| step.dma);
    dmas.filter(move |dma| dma.transfer == Transfer::Load && op.operand_of(dma) == Some(operand))
}

/// Bytes of an operand that the cores load.
fn loaded_bytes(op: &Op, report: &LaunchReport, operand: usize) -> u64 {
    report.traces.iter().flat_map(|trace| loads(op, trace, operand)).map(|dma| dma.bytes).sum()
}

fn rows_apart(op: &Op, report: &LaunchReport, operands: &Operands) -> Option<RowsApart> {
    let of_operand = |(index, (operand, tensor)): (usize, (&str, &Tensor))| {
        let element_bytes = tensor.ty().dtype().bytes() as u64;
        let mut rows = RowsApart { operand: operand.to_owned(), loads: 0, bytes: 0 };
        for trace in &report.traces {
            let mut end = None;
            for dma in loads(op, trace, index) {
                if end.is_some_and(|end| end != dma.start) {
                    rows.loads += 1;
                    rows.bytes += dma.bytes;
                }
                end = Some(dma.start + dma.bytes / element_bytes);
            }
        }
        rows
    };
    let names = op.descriptor().tensors().map(|(name, _)| name);
    let all = names.zip(&operands.tensors).enumerate().map(of_operand);
    all.filter(|rows| rows.loads > 0).max_by_key(|rows| rows.loads)
}

/// Bytes of the buffers of the core whose chosen DMAs reach most.
fn tile_bytes(report: &LaunchReport, chosen: impl Fn(&Dma) -> bool) -> u64 {
    let of_core = |trace: &Vec<TraceStep>| {
        let mut buffers = BTreeMap::new();
        for dma in trace.iter().filter_map(|step| step.dma).filter(&chosen) {
            let bytes = buffers.entry(dma.tcm).or_insert(0);
            *bytes = dma.bytes.max(*bytes);
        }
        // A buffer that starts inside another is not there at the same time.
        let mut end = 0;
        let mut sum = 0;
        for (start, bytes) in buffers {
            sum += (start + bytes).saturating_sub(start.max(end));
            end = end.max(start + bytes);
        }
        sum
    };
    report.traces.iter().map(of_core).max().unwrap_or(0)
}
