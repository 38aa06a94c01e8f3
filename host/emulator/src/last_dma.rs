//! [`Last`]: the DMA that a core made last, for the message about a kernel that is stopped.

use gpsimd_abi::Location;

use crate::error::{LastDma, SourceLocation, Transfer};
use crate::guard::Code;
use crate::prepared_launch::PreparedLaunch;

/// A DMA as the kernel asked for it, refused or not.
pub(crate) struct Last {
    pub(crate) transfer: Transfer,
    pub(crate) tensor: u32,
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) place: Place,
}

/// Where it asked. Read when it is wanted: a kernel makes many DMAs.
pub(crate) enum Place {
    /// A place of a library, whose text stays where it is until the kernel has returned.
    Unread(Location),
    Read(Option<SourceLocation>),
}

impl Place {
    /// # Safety
    /// `location` is null, or leads to a location whose text is readable.
    pub(crate) unsafe fn of(location: *const Location, code: &Code) -> Self {
        // SAFETY: the caller's promise.
        match unsafe { location.as_ref() } {
            Some(location) if matches!(code, Code::Library(_)) => Self::Unread(*location),
            // SAFETY: the caller's promise.
            _ => Self::Read(unsafe { SourceLocation::read(location) }),
        }
    }

    /// # Safety
    /// The text that the kernel passed is readable still.
    pub(crate) unsafe fn read(&self) -> Option<SourceLocation> {
        match self {
            Self::Read(location) => location.clone(),
            // SAFETY: the caller's promise.
            Self::Unread(location) => unsafe { SourceLocation::read(location) },
        }
    }
}

impl Last {
    /// In words, and where; of a kernel that did not return.
    pub(crate) fn describe(&self, launch: &PreparedLaunch<'_>) -> (LastDma, Option<SourceLocation>) {
        // SAFETY: the kernel has not returned, so what it passed is as it was.
        let location = unsafe { self.place.read() };
        let Self { transfer, tensor, start, len, .. } = *self;
        let tensor =
            if (tensor as usize) < launch.tensors.len() { launch.name(tensor as usize) } else { tensor.to_string() };
        (LastDma::Of { transfer, tensor, range: start..start.saturating_add(len) }, location)
    }
}
