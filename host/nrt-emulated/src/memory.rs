//! [`Memory`]: what tensors are made of; [`Hbm`]: how much device memory a NeuronCore has.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::block::Block;
use crate::error::Error;

/// Memory of one or several tensors.
///
/// Calls that reach the same memory from several threads wait for each other. What a program does by itself, with
/// [`address`](Self::address) or in a buffer that it attached, nobody can wait for: that is its own affair, as with the
/// Neuron Runtime.
#[derive(Debug)]
pub(crate) struct Memory {
    data: *mut u8,
    size: usize,
    place: Place,
    access: RwLock<()>,
    /// What `data` leads to, unless it is the program's.
    _owned: Option<Block>,
    /// Its part of a core's device memory.
    _charge: Option<Charge>,
}
// SAFETY: `data` leads to memory that is owned, or that the program vouches for; every access here holds `access`.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// Where memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Device memory of the NeuronCore with this index. In truth host memory, whose address nobody learns.
    Device(usize),
    /// Host memory.
    Host,
}

impl Memory {
    /// `size` bytes of a NeuronCore's device memory. They are zero, which a device does not promise.
    pub(crate) fn device(hbm: &Arc<Hbm>, size: usize) -> Result<Self, Error> {
        let charge = Charge::new(hbm, size)?;
        Ok(Self { _charge: Some(charge), place: Place::Device(hbm.core), ..Self::host(size)? })
    }

    /// `size` bytes of host memory.
    pub(crate) fn host(size: usize) -> Result<Self, Error> {
        let block = Block::zeroed(size)?;
        Ok(Self {
            data: block.as_ptr(),
            size,
            place: Place::Host,
            access: RwLock::default(),
            _owned: Some(block),
            _charge: None,
        })
    }

    /// A buffer of the program, used where it is.
    ///
    /// # Safety
    /// `buffer` leads to `size` bytes for as long as the result exists.
    pub(crate) unsafe fn attached(buffer: *mut u8, size: usize) -> Self {
        let access = RwLock::default();
        Self { data: buffer, size, place: Place::Host, access, _owned: None, _charge: None }
    }

    /// Bytes.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// Where it is.
    pub(crate) const fn place(&self) -> Place {
        self.place
    }

    /// Address of the first byte, for memory that a program may reach by itself.
    pub(crate) const fn address(&self) -> Option<*mut u8> {
        match self.place {
            Place::Device(_) => None,
            Place::Host => Some(self.data),
        }
    }

    /// Copies `size` bytes from `offset` to `to`.
    ///
    /// # Safety
    /// `to` leads to `size` bytes that may be written, and `offset + size` is at most the memory's size.
    pub(crate) unsafe fn read(&self, offset: usize, to: *mut u8, size: usize) {
        let _access = self.access.read().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the caller's promise. Not assumed apart: a program may give what `address` gave it.
        unsafe { std::ptr::copy(self.data.add(offset), to, size) };
    }

    /// Copies `size` bytes from `from` to `offset`.
    ///
    /// # Safety
    /// `from` leads to `size` readable bytes, and `offset + size` is at most the memory's size.
    pub(crate) unsafe fn write(&self, offset: usize, from: *const u8, size: usize) {
        let _access = self.access.write().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: as in `read`.
        unsafe { std::ptr::copy(from, self.data.add(offset), size) };
    }

    /// Sets `size` bytes from `offset` to `value`.
    ///
    /// # Safety
    /// `offset + size` is at most the memory's size.
    pub(crate) unsafe fn fill(&self, offset: usize, value: u8, size: usize) {
        let _access = self.access.write().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the caller's promise.
        unsafe { self.data.add(offset).write_bytes(value, size) };
    }

    /// Copies `size` bytes from `from_offset` of `from` to `to_offset` of `to`. The two may overlap, or be one.
    ///
    /// # Safety
    /// Both ranges are within their memory.
    pub(crate) unsafe fn copy(from: &Self, from_offset: usize, to: &Self, to_offset: usize, size: usize) {
        let first_is_from = std::ptr::from_ref(from) < std::ptr::from_ref(to);
        // In the order of their addresses, so that two opposite copies do not wait for each other forever.
        let early = first_is_from.then(|| from.access.read());
        let _to_access = to.access.write().unwrap_or_else(PoisonError::into_inner);
        let _late = (!first_is_from && !std::ptr::eq(from, to)).then(|| from.access.read());
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy(from.data.add(from_offset), to.data.add(to_offset), size) };
        drop(early);
    }
}

/// The device memory of a NeuronCore: accounted, not allocated.
#[derive(Debug)]
pub(crate) struct Hbm {
    core: usize,
    bytes: u64,
    used: Mutex<u64>,
}

impl Hbm {
    /// `bytes` of device memory on the NeuronCore with index `core`.
    pub(crate) fn new(core: usize, bytes: u64) -> Arc<Self> {
        Arc::new(Self { core, bytes, used: Mutex::new(0) })
    }

    /// Bytes in use, and all that there are.
    pub(crate) fn usage(&self) -> (u64, u64) {
        (*self.used.lock().unwrap_or_else(PoisonError::into_inner), self.bytes)
    }
}

/// A part of a core's device memory, given back when it goes.
#[derive(Debug)]
pub(crate) struct Charge {
    hbm: Arc<Hbm>,
    bytes: u64,
}

impl Charge {
    /// `bytes` of `hbm`, if there are as many left.
    pub(crate) fn new(hbm: &Arc<Hbm>, bytes: usize) -> Result<Self, Error> {
        let bytes = bytes as u64;
        let mut used = hbm.used.lock().unwrap_or_else(PoisonError::into_inner);
        let left = hbm.bytes - *used;
        if bytes > left {
            return Err(Error::DeviceMemory { core: hbm.core, asked: bytes, left, of: hbm.bytes });
        }
        *used += bytes;
        Ok(Self { hbm: Arc::clone(hbm), bytes })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        *self.hbm.used.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
    }
}
