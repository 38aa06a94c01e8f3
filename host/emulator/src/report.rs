//! [`LaunchReport`]: what a launch did.

/// What a launch did, core by core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaunchReport {
    /// One entry for every core, in order.
    pub cores: Vec<CoreReport>,
    /// What the kernel printed, in the order of the cores. The print sink has had these lines already.
    pub printed: Vec<PrintedLine>,
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
}

/// A line that a kernel printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintedLine {
    /// The core that printed it.
    pub core: u32,
    /// The line, without its end.
    pub text: String,
}

impl LaunchReport {
    /// Sums over the cores; of the high-water marks, the highest.
    pub fn total(&self) -> CoreReport {
        self.cores.iter().fold(CoreReport::default(), |sum, core| CoreReport {
            loads: sum.loads + core.loads,
            load_bytes: sum.load_bytes + core.load_bytes,
            stores: sum.stores + core.stores,
            store_bytes: sum.store_bytes + core.store_bytes,
            tcm_high_water: sum.tcm_high_water.max(core.tcm_high_water),
        })
    }
}
