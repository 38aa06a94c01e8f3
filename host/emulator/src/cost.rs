//! [`CostModel`]: how long a launch would take on the device, by what the emulator counted.
//!
//! A core computes, and waits for each DMA; it does not do both at once, because kernels ask for a tile and then use
//! it. So a core's time is the sum of its DMAs (a fixed cost each, and bytes over bandwidth) and of its operations
//! (cycles each, a sixteenth of that in vectors). The engine's time is that of its slowest core. Nothing here was
//! measured on a Trainium by us: [`CostModel::constants`] says where every number is from, `docs/src/explanation/cost-model.md` how far
//! off it may be.

use gpsimd_descriptor::limits::CORES;

use crate::operations::{OperationCounts, Operations};
use crate::report::{Dma, LaunchReport, TraceStep};

/// The numbers of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct CostModel {
    /// Cycles per second of a core.
    pub clock: f64,
    /// Elements of f32 that a vector operation handles.
    pub lanes: f64,
    /// Seconds that a DMA takes besides its bytes.
    pub dma_setup: f64,
    /// Bytes per second of a core's DMA.
    pub dma_bandwidth: f64,
    /// Cycles of an operation, on one element or on a vector.
    pub cycles: f64,
    /// Cycles of a division or square root, on one element or on a vector.
    pub divide_cycles: f64,
}

impl Default for CostModel {
    fn default() -> Self {
        Self { clock: 1.4e9, lanes: 16.0, dma_setup: 0.27e-6, dma_bandwidth: 27.2e9, cycles: 1.0, divide_cycles: 8.0 }
    }
}

/// A number of the model, and where it is from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constant {
    /// What it is.
    pub name: &'static str,
    /// In `unit`.
    pub value: f64,
    /// Unit of `value`.
    pub unit: &'static str,
    /// The page of the vendor's documentation, what it was fitted to, or that it is assumed.
    pub source: &'static str,
}

/// Seconds of a core, by what it spends them on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// The fixed costs of its DMAs: latency.
    pub setup: f64,
    /// The bytes of its DMAs.
    pub transfer: f64,
    /// Its operations.
    pub compute: f64,
}

impl Cost {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.setup + self.transfer + self.compute
    }
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            setup: self.setup + other.setup,
            transfer: self.transfer + other.transfer,
            compute: self.compute + other.compute,
        }
    }
}

impl CostModel {
    /// Every number, with its source.
    pub fn constants(&self) -> [Constant; 6] {
        let constant = |name, value, unit, source| Constant { name, value, unit, source };
        [
            constant("clock of a core", self.clock / 1e9, "GHz", "trainium_inferentia2_arch"),
            constant("f32 elements of a vector", self.lanes, "", "trainium_inferentia2_arch: 512 bit"),
            constant("DMA, fixed cost", self.dma_setup * 1e6, "us", "fitted to customop-mlp-perf-opt"),
            constant(
                "DMA, bandwidth",
                self.dma_bandwidth / 1e9,
                "GB/s",
                "nki-dma-overview: of one DMA engine, theoretical",
            ),
            constant("operation", self.cycles, "cycles", "assumed; customop-mlp-perf-opt alone would say 0.79"),
            constant("division, square root", self.divide_cycles, "cycles", "assumed"),
        ]
    }

    /// What a DMA takes.
    pub fn dma(&self, dma: &Dma) -> Cost {
        self.dmas(1, dma.bytes)
    }

    /// What DMAs take that move `bytes` together.
    pub fn dmas(&self, count: u64, bytes: u64) -> Cost {
        Cost { setup: count as f64 * self.dma_setup, transfer: bytes as f64 / self.dma_bandwidth, compute: 0.0 }
    }

    /// What operations take.
    pub fn compute(&self, operations: &Operations) -> Cost {
        let cycles = |counts: &OperationCounts| {
            counts.divide as f64 * self.divide_cycles + (counts.total() - counts.divide) as f64 * self.cycles
        };
        let cycles = cycles(&operations.scalar) + cycles(&operations.vector) / self.lanes;
        Cost { compute: cycles / self.clock, ..Cost::default() }
    }

    /// What a core's part of a launch takes.
    pub fn core(&self, trace: &[TraceStep]) -> Cost {
        trace.iter().fold(Cost::default(), |sum, step| {
            let dma = step.dma.as_ref().map(|dma| self.dma(dma)).unwrap_or_default();
            sum + self.compute(&step.operations) + dma
        })
    }

    /// What the parts of the cores take, in order. Needs no trace.
    pub fn cores(&self, report: &LaunchReport) -> Vec<Cost> {
        let core = |core: &crate::CoreReport| {
            self.compute(&core.operations) + self.dmas(core.loads + core.stores, core.load_bytes + core.store_bytes)
        };
        report.cores.iter().map(core).collect()
    }

    /// Seconds of a launch: of its slowest core.
    pub fn seconds(&self, report: &LaunchReport) -> f64 {
        self.cores(report).iter().map(Cost::total).fold(0.0, f64::max)
    }

    /// Operations per second of an engine, all in vectors.
    pub fn peak_operations(&self) -> f64 {
        CORES as f64 * self.lanes * self.clock / self.cycles
    }

    /// Bytes per second of an engine's DMAs.
    pub fn peak_bandwidth(&self) -> f64 {
        CORES as f64 * self.dma_bandwidth
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Transfer;
    use crate::report::CoreReport;

    #[test]
    fn a_core_takes_its_operations_and_its_dmas() {
        let model =
            CostModel { clock: 1e9, lanes: 16.0, dma_setup: 1e-6, dma_bandwidth: 1e9, cycles: 2.0, divide_cycles: 8.0 };
        let operations = Operations {
            scalar: OperationCounts { integer: 100, divide: 1, ..OperationCounts::default() },
            vector: OperationCounts { fma: 1600, divide: 16, ..OperationCounts::default() },
        };
        let dma = Dma { transfer: Transfer::Load, phase: 0, tensor: 0, start: 0, bytes: 500, tcm: 0 };
        let trace =
            [TraceStep { operations, dma: Some(dma) }, TraceStep { operations: Operations::default(), dma: None }];
        let cost = model.core(&trace);
        let nanoseconds = |seconds: f64| (seconds * 1e9).round() as u64;
        assert_eq!(nanoseconds(cost.compute), 200 + 8 + 200 + 8);
        assert_eq!((nanoseconds(cost.setup), nanoseconds(cost.transfer)), (1000, 500));
        assert_eq!(nanoseconds(cost.total()), 416 + 1000 + 500);

        // Stores cost what loads do.
        let core =
            CoreReport { loads: 1, load_bytes: 300, stores: 2, store_bytes: 200, operations, ..CoreReport::default() };
        let report = LaunchReport { cores: vec![CoreReport::default(), core], ..LaunchReport::default() };
        assert_eq!(nanoseconds(model.seconds(&report)), 416 + 3000 + 500, "the slowest core's");
    }

    #[test]
    fn an_engine_at_its_peak_is_8_cores_that_do_nothing_else() {
        let model = CostModel { cycles: 2.0, ..CostModel::default() };
        let nanoseconds = |seconds: f64| (seconds * 1e9).round() as u64;
        let vectors = OperationCounts { float: 1_400_000_000, ..OperationCounts::default() };
        let seconds = model.compute(&Operations { vector: vectors, ..Operations::default() }).total();
        assert_eq!(nanoseconds(8.0 * vectors.float as f64 / seconds), nanoseconds(model.peak_operations()));
        let seconds = model.dmas(0, 1 << 30).total();
        assert_eq!(nanoseconds(8.0 * (1 << 30) as f64 / seconds), nanoseconds(model.peak_bandwidth()));
    }

    #[test]
    fn constants_are_the_numbers_of_the_model_in_the_units_they_name() {
        let constants = CostModel::default().constants();
        let in_words = |constant: &Constant| format!("{} = {:.2} {}", constant.name, constant.value, constant.unit);
        insta::assert_snapshot!(constants.iter().map(in_words).collect::<Vec<_>>().join("\n"));
    }
}
