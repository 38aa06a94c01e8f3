//! [`Handles`]: what the pointers mean that a program is given.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::Error;

/// A handle as a program holds it: a number in a pointer's clothes, never the address of anything.
pub(crate) type Handle = *mut c_void;

/// Handles start here, so that no address is one: bits 48 to 62 of an address in user space are equal.
const FIRST: usize = 0x4e52_0000_0000_0000;

/// All kinds of handles count on, and no number is given twice: a stale handle or one of another kind is never found.
static NEXT: AtomicUsize = AtomicUsize::new(FIRST);

/// The handles of one kind that a program holds.
#[derive(Debug)]
pub(crate) struct Handles<T> {
    kind: &'static str,
    held: RwLock<HashMap<usize, Arc<T>>>,
}

impl<T> Handles<T> {
    /// None yet; `kind` is what messages call them.
    pub(crate) fn new(kind: &'static str) -> Self {
        Self { kind, held: RwLock::default() }
    }

    /// A new handle.
    pub(crate) fn insert(&self, thing: T) -> Handle {
        // A multiple of 16, as an address from an allocator would be.
        let id = NEXT.fetch_add(16, Ordering::Relaxed);
        self.held.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(thing));
        std::ptr::without_provenance_mut(id)
    }

    /// What a handle stands for.
    pub(crate) fn get(&self, handle: Handle) -> Result<Arc<T>, Error> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.get(&handle.addr()).cloned().ok_or_else(|| self.unknown(handle))
    }

    /// Forgets a handle.
    pub(crate) fn remove(&self, handle: Handle) -> Result<Arc<T>, Error> {
        let removed = self.held.write().unwrap_or_else(PoisonError::into_inner).remove(&handle.addr());
        removed.ok_or_else(|| self.unknown(handle))
    }

    /// Forgets all, and returns what they stood for.
    pub(crate) fn clear(&self) -> Vec<Arc<T>> {
        let held = std::mem::take(&mut *self.held.write().unwrap_or_else(PoisonError::into_inner));
        held.into_values().collect()
    }

    fn unknown(&self, handle: Handle) -> Error {
        Error::Handle { kind: self.kind, address: handle.addr() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_known_until_it_is_removed_and_never_again() {
        let handles = Handles::new("tensor");
        let first = handles.insert(1);
        assert_eq!(*handles.get(first).unwrap(), 1);
        assert_eq!(*handles.remove(first).unwrap(), 1);
        let second = handles.insert(2);
        assert_ne!(first, second);
        assert!(handles.get(first).is_err());
        assert!(handles.remove(first).is_err());
        assert_eq!(*handles.get(second).unwrap(), 2);
    }

    #[test]
    fn a_handle_of_another_kind_is_unknown() {
        let (tensors, sets) = (Handles::new("tensor"), Handles::new("tensor set"));
        let (tensor, set) = (tensors.insert(()), sets.insert(()));
        assert!(tensors.get(set).is_err());
        assert!(sets.get(tensor).is_err());
        assert!(tensors.get(std::ptr::null_mut()).is_err());
    }
}
