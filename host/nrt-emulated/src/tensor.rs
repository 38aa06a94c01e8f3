//! [`EmulatedTensor`]: a name and a piece of memory.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::memory::{Memory, Place};

/// A tensor of a program. To the runtime it is bytes: dtype and shape are the model's.
#[derive(Debug)]
pub(crate) struct EmulatedTensor {
    /// For messages; empty if the program gave none.
    pub(crate) name: String,
    storage: Mutex<Option<Storage>>,
    completions: Completions,
}

/// A range of some memory, which it keeps alive.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    memory: Arc<Memory>,
    offset: usize,
    size: usize,
}

impl EmulatedTensor {
    /// A tensor of all of `memory`; without, one that waits for a buffer to be attached.
    pub(crate) fn new(name: String, memory: Option<Memory>) -> Self {
        Self { name, storage: Mutex::new(memory.map(Storage::all_of)), completions: Completions::default() }
    }

    /// A tensor that is `size` bytes of this one from `offset`.
    pub(crate) fn slice(&self, name: String, offset: usize, size: usize) -> Result<Self, Error> {
        let storage = self.storage()?;
        storage.expect_range(&self.name, offset, size)?;
        // No overflow: the sum is within the memory.
        let storage = Storage { offset: storage.offset + offset, size, ..storage };
        Ok(Self { name, storage: Mutex::new(Some(storage)), completions: Completions::default() })
    }

    /// Takes other memory from now on. What it had lives on in its slices, if there are any.
    pub(crate) fn attach(&self, memory: Memory) {
        *self.storage.lock().unwrap_or_else(PoisonError::into_inner) = Some(Storage::all_of(memory));
    }

    /// Its memory.
    pub(crate) fn storage(&self) -> Result<Storage, Error> {
        let storage = self.storage.lock().unwrap_or_else(PoisonError::into_inner).clone();
        storage.ok_or_else(|| Error::NoMemory { tensor: self.name.clone() })
    }

    /// Bytes; 0 without memory.
    pub(crate) fn size(&self) -> usize {
        self.storage().map_or(0, |storage| storage.size)
    }

    /// Address in host memory; null for device memory, and without memory.
    pub(crate) fn address(&self) -> *mut u8 {
        let Ok(storage) = self.storage() else { return std::ptr::null_mut() };
        storage.memory.address().map_or(std::ptr::null_mut(), |address| address.wrapping_add(storage.offset))
    }

    /// Copies `size` bytes from `offset` to `to`.
    ///
    /// # Safety
    /// `to` leads to `size` bytes that may be written.
    pub(crate) unsafe fn read(&self, to: *mut u8, offset: usize, size: usize) -> Result<(), Error> {
        let storage = self.storage()?;
        storage.expect_range(&self.name, offset, size)?;
        // SAFETY: the caller's promise, and the range was checked.
        unsafe { storage.memory.read(storage.offset + offset, to, size) };
        Ok(())
    }

    /// Copies `size` bytes from `from` to `offset`.
    ///
    /// # Safety
    /// `from` leads to `size` readable bytes.
    pub(crate) unsafe fn write(&self, from: *const u8, offset: usize, size: usize) -> Result<(), Error> {
        let storage = self.storage()?;
        storage.expect_range(&self.name, offset, size)?;
        // SAFETY: the caller's promise, and the range was checked.
        unsafe { storage.memory.write(storage.offset + offset, from, size) };
        Ok(())
    }

    /// Sets `size` bytes from `offset` to `value`.
    pub(crate) fn fill(&self, offset: usize, value: u8, size: usize) -> Result<(), Error> {
        let storage = self.storage()?;
        storage.expect_range(&self.name, offset, size)?;
        // SAFETY: the range was checked.
        unsafe { storage.memory.fill(storage.offset + offset, value, size) };
        Ok(())
    }

    /// How often executions have written it as an output.
    pub(crate) const fn completions(&self) -> &Completions {
        &self.completions
    }

    /// Copies `size` bytes from `from_offset` of this tensor to `to_offset` of `to`.
    pub(crate) fn copy(&self, from_offset: usize, to: &Self, to_offset: usize, size: usize) -> Result<(), Error> {
        let (source, target) = (self.storage()?, to.storage()?);
        source.expect_range(&self.name, from_offset, size)?;
        target.expect_range(&to.name, to_offset, size)?;
        if let (Place::Device(from), Place::Device(to)) = (source.memory.place(), target.memory.place())
            && from != to
        {
            return Err(Error::BetweenCores { from, to });
        }
        // SAFETY: both ranges were checked.
        unsafe {
            Memory::copy(&source.memory, source.offset + from_offset, &target.memory, target.offset + to_offset, size);
        }
        Ok(())
    }
}

/// How often executions have written a tensor as an output.
#[derive(Debug, Default)]
pub(crate) struct Completions {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Completions {
    /// One more.
    pub(crate) fn add(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// None again.
    pub(crate) fn reset(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    /// Waits until there are `expected`, at most until `end`, and returns how many there are then.
    pub(crate) fn wait(&self, expected: u64, end: Option<Instant>) -> u64 {
        let too_few = |count: &mut u64| *count < expected;
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        let waited = self.changed.wait_timeout_while(count, left, too_few);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Storage {
    fn all_of(memory: Memory) -> Self {
        let size = memory.size();
        Self { memory: Arc::new(memory), offset: 0, size }
    }

    /// Bytes.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// Copies all of it to `to`.
    ///
    /// # Safety
    /// `to` leads to as many bytes that may be written.
    pub(crate) unsafe fn read_all(&self, to: *mut u8) {
        // SAFETY: the caller's promise; its own range is within the memory.
        unsafe { self.memory.read(self.offset, to, self.size) };
    }

    /// Overwrites all of it with what is at `from`.
    ///
    /// # Safety
    /// `from` leads to as many readable bytes.
    pub(crate) unsafe fn write_all(&self, from: *const u8) {
        // SAFETY: as above.
        unsafe { self.memory.write(self.offset, from, self.size) };
    }

    fn expect_range(&self, tensor: &str, offset: usize, size: usize) -> Result<(), Error> {
        if offset <= self.size && size <= self.size - offset {
            return Ok(());
        }
        Err(Error::Range { tensor: tensor.into(), offset, size, of: self.size })
    }
}
