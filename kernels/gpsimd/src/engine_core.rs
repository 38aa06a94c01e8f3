//! The core a kernel runs on.

use crate::device::Device;
use crate::share::Share;
use crate::tcm::Tcm;

/// One of the engine's cores, and everything a kernel can reach from it.
pub struct Core {
    pub(crate) device: Device,
}

impl Core {
    /// This core, from 0 to `count() - 1`.
    pub fn id(&self) -> usize {
        self.device.core_id()
    }

    /// Cores of the launch.
    pub fn count(&self) -> usize {
        self.device.core_count()
    }

    /// This core's contiguous part of `len` elements dealt in granules of `granule` elements: see [`Share::new`].
    pub fn share(&self, len: usize, granule: usize) -> Share {
        Share::new(len, granule, self.id(), self.count())
    }

    /// The core's tightly coupled memory.
    pub fn tcm(&self) -> Tcm<'_> {
        Tcm::of(self)
    }
}
