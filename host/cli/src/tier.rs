//! [`Tier`]: what runs the kernels.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What runs the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// rustc's code for this CPU
    Native,
    /// The C++ op package, compiled for this CPU
    Package,
    /// The Xtensa program under QEMU
    Isa,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 3] = [Self::Native, Self::Package, Self::Isa];
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Native => "native",
            Self::Package => "package",
            Self::Isa => "isa",
        })
    }
}

/// What keeps the isa tier from running.
pub(crate) fn isa_is_missing() -> Option<String> {
    let missing: Vec<_> = gpsimd_isa::missing_tools().iter().map(ToString::to_string).collect();
    if missing.is_empty() {
        gpsimd_isa::ensure_nightly().err().map(|error| error.to_string())
    } else {
        Some(missing.join("; "))
    }
}
