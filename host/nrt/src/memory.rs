//! [`TensorMemory`]: what tensors and their slices share, with the lock that keeps writes of it apart from everything else, and
//! the buffer if it is not the runtime's own.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The memory behind a tensor and all slices of it.
#[derive(Debug, Default)]
pub(super) struct TensorMemory {
    lock: RwLock<()>,
    /// Dropped with the memory: after every tensor that uses it.
    buffer: Option<Buffer>,
}

/// Part of a memory that a call reads or writes.
#[derive(Clone)]
pub(super) struct Access<'a> {
    pub(super) memory: &'a Arc<TensorMemory>,
    pub(super) bytes: Range<usize>,
    pub(super) writes: bool,
    /// For messages.
    pub(super) tensor: &'a str,
}

/// Keeps others away until it is dropped.
#[expect(dead_code, reason = "held for what dropping them does")]
pub(super) enum Guard<'a> {
    Read(RwLockReadGuard<'a, ()>),
    Write(RwLockWriteGuard<'a, ()>),
}

impl TensorMemory {
    pub(super) fn attached(buffer: Buffer) -> Self {
        Self { lock: RwLock::default(), buffer: Some(buffer) }
    }

    pub(super) fn is_attached(&self) -> bool {
        self.buffer.is_some()
    }

    pub(super) fn into_buffer(self) -> Option<Buffer> {
        self.buffer
    }
}

/// Waits until the memories of all accesses may be used.
pub(super) fn lock<'a>(accesses: &[Access<'a>]) -> Vec<Guard<'a>> {
    let mut memories: Vec<(&'a Arc<TensorMemory>, bool)> = Vec::with_capacity(accesses.len());
    for access in accesses {
        match memories.iter_mut().find(|(memory, _)| Arc::ptr_eq(memory, access.memory)) {
            Some((_, writes)) => *writes |= access.writes,
            None => memories.push((access.memory, access.writes)),
        }
    }
    // In one order for everybody, so that two calls never wait for each other.
    memories.sort_by_key(|(memory, _)| Arc::as_ptr(memory));
    let guard = |(memory, writes): (&'a Arc<TensorMemory>, bool)| {
        if writes {
            Guard::Write(memory.lock.write().unwrap_or_else(PoisonError::into_inner))
        } else {
            Guard::Read(memory.lock.read().unwrap_or_else(PoisonError::into_inner))
        }
    };
    memories.into_iter().map(guard).collect()
}

/// Two accesses of the same bytes of which the first writes.
pub(super) fn conflict<'a>(accesses: &[Access<'a>]) -> Option<(&'a str, &'a str)> {
    let pairs = accesses.iter().enumerate().flat_map(|(i, a)| accesses[i + 1..].iter().map(move |b| (a, b)));
    let overlap = |(a, b): &(&Access<'_>, &Access<'_>)| {
        (a.writes || b.writes)
            && Arc::ptr_eq(a.memory, b.memory)
            && a.bytes.start < b.bytes.end
            && b.bytes.start < a.bytes.end
    };
    let (a, b) = pairs.into_iter().find(overlap)?;
    Some(if a.writes { (a.tensor, b.tensor) } else { (b.tensor, a.tensor) })
}

/// A `Vec` that the runtime reads and writes through a pointer; nothing else refers to its elements meanwhile.
#[derive(Debug)]
pub(super) struct Buffer {
    start: *mut u8,
    len: usize,
    capacity: usize,
    /// Frees a `Vec` of these parts.
    free: unsafe fn(*mut u8, usize, usize),
}

impl Buffer {
    pub(super) fn new<T: bytemuck::Pod + Send + Sync>(elements: Vec<T>) -> Self {
        let mut elements = std::mem::ManuallyDrop::new(elements);
        let (start, len, capacity) = (elements.as_mut_ptr().cast(), elements.len(), elements.capacity());
        Self { start, len, capacity, free: free::<T> }
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start
    }

    /// The elements back, as what they were.
    ///
    /// # Safety
    /// `T` is the type that it was made from.
    pub(super) unsafe fn into_vec<T: bytemuck::Pod>(self) -> Vec<T> {
        let buffer = std::mem::ManuallyDrop::new(self);
        // SAFETY: the parts of a `Vec<T>`, and `T` is as the caller says; the elements are any bytes, as `Pod` may be.
        unsafe { Vec::from_raw_parts(buffer.start.cast(), buffer.len, buffer.capacity) }
    }
}

/// # Safety
/// The parts are of a `Vec<T>` that nothing else frees.
unsafe fn free<T>(start: *mut u8, len: usize, capacity: usize) {
    // SAFETY: as the caller says.
    drop(unsafe { Vec::<T>::from_raw_parts(start.cast(), len, capacity) });
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the parts of the `Vec` it was made from, with its type.
        unsafe { (self.free)(self.start, self.len, self.capacity) };
    }
}

// SAFETY: it owns its elements, which are `Send`; the pointer is handed out only under the memory's lock.
unsafe impl Send for Buffer {}
// SAFETY: `&Buffer` gives the address only; who reads or writes there holds the memory's lock.
unsafe impl Sync for Buffer {}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(memory: &Arc<TensorMemory>, bytes: Range<usize>, writes: bool) -> Access<'_> {
        Access { memory, bytes, writes, tensor: if writes { "out" } else { "in" } }
    }

    #[test]
    fn bytes_that_one_writes_and_another_uses_conflict() {
        let (a, b) = (Arc::new(TensorMemory::default()), Arc::new(TensorMemory::default()));
        let conflicts = |accesses: &[Access<'_>]| conflict(accesses).is_some();
        assert_eq!(conflict(&[access(&a, 0..8, false), access(&a, 4..12, true)]), Some(("out", "in")));
        assert!(conflicts(&[access(&a, 0..8, true), access(&a, 7..8, true)]));
        assert!(!conflicts(&[access(&a, 0..8, false), access(&a, 4..12, false)]));
        assert!(!conflicts(&[access(&a, 0..8, true), access(&a, 8..12, true)]));
        assert!(!conflicts(&[access(&a, 0..8, true), access(&b, 0..8, true)]));
    }

    #[test]
    fn a_memory_is_locked_once_and_for_writing_when_anything_writes_it() {
        let a = Arc::new(TensorMemory::default());
        let guards = lock(&[access(&a, 0..4, false), access(&a, 4..8, true)]);
        assert!(matches!(guards[..], [Guard::Write(_)]));
        assert!(a.lock.try_read().is_err());
        drop(guards);
        let guards = lock(&[access(&a, 0..4, false), access(&a, 0..4, false)]);
        assert!(matches!(guards[..], [Guard::Read(_)]));
        assert!(a.lock.try_read().is_ok() && a.lock.try_write().is_err());
    }

    #[test]
    fn a_buffer_gives_back_the_elements_it_was_made_of() {
        let mut elements = Vec::with_capacity(10);
        elements.extend([1.0f32, 2.0, 3.0]);
        let address = elements.as_ptr();
        let buffer = Buffer::new(elements);
        assert_eq!(buffer.start().cast_const().cast(), address);
        // SAFETY: made of f32.
        assert_eq!(unsafe { buffer.into_vec::<f32>() }, [1.0, 2.0, 3.0]);
        drop(Buffer::new(vec![0u64; 5]));
    }
}
