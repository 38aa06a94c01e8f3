//! [`Setting`]: how an op is launched, of all that must not matter.

use std::fmt;

use gpsimd_emulator::gpsimd_abi::TCM_ALIGN;
use gpsimd_emulator::gpsimd_descriptor::limits::{CORES, TCM_BYTES};
use serde::{Deserialize, Serialize};

use crate::tier::Tier;

/// Most threads of a setting: two for each core.
const THREADS: usize = 2 * CORES;

/// How an op is launched: everything that the result must not depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What runs the kernel.
    pub tier: Tier,
    /// How much is checked.
    pub mode: Mode,
    /// Cores of the engine.
    pub cores: usize,
    /// Bytes of a core's TCM pool; that of the library unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcm_bytes: Option<usize>,
    /// Threads of this host.
    pub threads: usize,
    /// Seed of the order in which the cores run, one after another; at the same time unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<u64>,
    /// Whether tiles are copied in fast mode, as in checked mode, or tensors reached where they are.
    #[serde(default, skip_serializing_if = "is_false")]
    pub copies: bool,
    /// Whether the launching thread flushes denormal numbers to zero in its own arithmetic.
    #[serde(default, skip_serializing_if = "is_false")]
    pub flush_to_zero: bool,
    /// Whether outputs that replace operands are where those are.
    #[serde(default, skip_serializing_if = "is_false")]
    pub in_place: bool,
    /// Launches on other operands before, of which the result is not looked at.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub launches_before: usize,
}

/// How much a launch is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Everything.
    Checked,
    /// As in training.
    Fast,
}

impl From<Mode> for gpsimd_emulator::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Checked => Self::Checked,
            Mode::Fast => Self::Fast,
        }
    }
}

impl Setting {
    /// What others are compared with: the device as far as it goes here, and everything checked.
    pub const REFERENCE: Self = Self {
        tier: Tier::Native,
        mode: Mode::Checked,
        cores: CORES,
        tcm_bytes: None,
        threads: 1,
        schedule: None,
        copies: false,
        flush_to_zero: false,
        in_place: false,
        launches_before: 0,
    };

    /// What is wrong with a setting that nobody here has made up.
    pub(super) fn problem(&self) -> Option<String> {
        let is_pool = |bytes: usize| (TCM_ALIGN..=TCM_BYTES).contains(&bytes) && bytes.is_multiple_of(TCM_ALIGN);
        if !(1..=CORES).contains(&self.cores) {
            return Some(format!("{} cores, expected 1 to {CORES}", self.cores));
        }
        if !(1..=THREADS).contains(&self.threads) {
            return Some(format!("{} threads, expected 1 to {THREADS}", self.threads));
        }
        if self.launches_before > 1000 {
            return Some(format!("{} launches before, expected at most 1000", self.launches_before));
        }
        let tcm_bytes = self.tcm_bytes.filter(|bytes| !is_pool(*bytes))?;
        Some(format!("{tcm_bytes} bytes of TCM, expected a multiple of {TCM_ALIGN} up to {TCM_BYTES}"))
    }
}

impl fmt::Display for Setting {
    /// In a few words: `package, fast, 3 cores, 1024 bytes of TCM`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Checked => "checked",
            Mode::Fast => "fast",
        };
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        write!(f, "{}, {mode}, {} core{}", self.tier, self.cores, plural(self.cores))?;
        if let Some(bytes) = self.tcm_bytes {
            write!(f, ", {bytes} bytes of TCM")?;
        }
        if self.threads > 1 {
            write!(f, ", {} threads", self.threads)?;
        }
        if let Some(seed) = self.schedule {
            write!(f, ", cores in the order of seed {seed}")?;
        }
        if self.copies {
            f.write_str(", tiles copied")?;
        }
        if self.flush_to_zero {
            f.write_str(", caller flushes denormals to zero")?;
        }
        if self.in_place {
            f.write_str(", in place")?;
        }
        if self.launches_before > 0 {
            write!(
                f,
                ", after {} other launch{}",
                self.launches_before,
                if self.launches_before == 1 { "" } else { "es" }
            )?;
        }
        Ok(())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(value: &usize) -> bool {
    *value == 0
}
