//! [`LaunchReport`]: what a launch did.

use crate::error::Transfer;
use crate::operations::Operations;

/// What a launch did, core by core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaunchReport {
    /// One entry for every core, in order.
    pub cores: Vec<CoreReport>,
    /// What the kernel printed, in the order of the cores. The print sink has had these lines already.
    pub printed: Vec<PrintedLine>,
    /// What every core did in its order, of an engine that [traces](crate::EngineBuilder::trace); empty otherwise.
    pub traces: Vec<Vec<TraceStep>>,
}

/// A part of what a core did: it computed, and then moved data or was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceStep {
    /// What it computed since the step before; nothing of a library that does not count.
    pub operations: Operations,
    /// The DMA that ended the step; none at the end of the launch.
    pub dma: Option<Dma>,
}

/// A DMA of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dma {
    /// Its direction.
    pub transfer: Transfer,
    /// Of which phase it is: 0, or 1 of the second of two.
    pub phase: u32,
    /// Index of the tensor in the launch of that phase: see [`Op::tensor_of`](crate::Op::tensor_of).
    pub tensor: u32,
    /// First element.
    pub start: u64,
    /// Bytes.
    pub bytes: u64,
    /// Where in the core's TCM pool it starts, in bytes.
    pub tcm: u64,
}

/// What one core did.
///
/// In checked mode everything is counted. In fast mode a library may reach tensors and TCM without the table, and only
/// what goes through the table is counted: a native library then reports zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreReport {
    /// DMA transfers from HBM to TCM.
    pub loads: u64,
    /// Bytes of these.
    pub load_bytes: u64,
    /// DMA transfers from TCM to HBM.
    pub stores: u64,
    /// Bytes of these.
    pub store_bytes: u64,
    /// Most bytes of TCM in use at the same time, each buffer rounded up to 64 bytes.
    pub tcm_high_water: usize,
    /// What it computed; nothing of a library that does not count.
    pub operations: Operations,
}

/// A line that a kernel printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintedLine {
    /// The core that printed it.
    pub core: u32,
    /// The line, without its end.
    pub text: String,
}

impl CoreReport {
    /// Both together; of the high-water marks, the higher.
    fn with(&self, other: &Self) -> Self {
        Self {
            loads: self.loads + other.loads,
            load_bytes: self.load_bytes + other.load_bytes,
            stores: self.stores + other.stores,
            store_bytes: self.store_bytes + other.store_bytes,
            tcm_high_water: self.tcm_high_water.max(other.tcm_high_water),
            operations: self.operations + other.operations,
        }
    }
}

impl TraceStep {
    fn of_second_phase(mut self) -> Self {
        if let Some(dma) = &mut self.dma {
            dma.phase = 1;
        }
        self
    }
}

impl LaunchReport {
    /// This phase and the one after it: what each core did in both.
    pub(crate) fn followed_by(mut self, next: Self) -> Self {
        for (core, other) in self.cores.iter_mut().zip(&next.cores) {
            *core = core.with(other);
        }
        self.printed.extend(next.printed);
        for (trace, other) in self.traces.iter_mut().zip(next.traces) {
            trace.extend(other.into_iter().map(TraceStep::of_second_phase));
        }
        self
    }

    /// Sums over the cores; of the high-water marks, the highest.
    pub fn total(&self) -> CoreReport {
        self.cores.iter().fold(CoreReport::default(), |sum, core| sum.with(core))
    }
}
