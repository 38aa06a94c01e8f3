//! [`Block`]: zeroed host memory, aligned as the emulator wants it.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use gpsimd_emulator::gpsimd_abi::TCM_ALIGN;

use crate::error::Error;

/// Zeroed memory of a fixed size, its start a multiple of 64.
#[derive(Debug)]
pub(crate) struct Block {
    allocation: NonNull<u8>,
    layout: Layout,
    size: usize,
}
// SAFETY: a block is memory that it alone owns.
unsafe impl Send for Block {}
// SAFETY: it returns no references, only an address; what is done there is up to those who take it.
unsafe impl Sync for Block {}

impl Block {
    /// `size` bytes.
    pub(crate) fn zeroed(size: usize) -> Result<Self, Error> {
        let refused = || Error::HostMemory { bytes: size };
        // Aligned by hand: the system's allocator returns large zeroed memory lazily only without an alignment of its own,
        // and device memory is meant to be accounted, not to be used.
        let with_room = size.checked_add(TCM_ALIGN).ok_or_else(refused)?;
        let layout = Layout::from_size_align(with_room, align_of::<usize>()).map_err(|_| refused())?;
        // SAFETY: the layout has at least the bytes for the alignment.
        let allocation = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(refused)?;
        Ok(Self { allocation, layout, size })
    }

    /// Address of the first byte.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        let allocation = self.allocation.as_ptr();
        let padding = allocation.addr().next_multiple_of(TCM_ALIGN) - allocation.addr();
        // SAFETY: less than `TCM_ALIGN` bytes, which the allocation has beyond `size`.
        unsafe { allocation.add(padding) }
    }

    /// Bytes.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.allocation.as_ptr(), self.layout) };
    }
}
