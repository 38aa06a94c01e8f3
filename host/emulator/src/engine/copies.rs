//! [`Copies`]: copies of tensors that checked launches make, whose memory is kept for the next.

use std::ops::Deref;
use std::sync::Mutex;

/// Copies that are kept, at most: those of a large weight with its moments. Writing new memory takes several times as long
/// as writing it again.
const KEPT_BYTES: usize = 128 << 20;

/// Memory of copies that nothing uses now.
#[derive(Debug, Default)]
pub(super) struct Copies(Mutex<Vec<Vec<u8>>>);

/// A copy of a tensor's bytes.
#[derive(Debug)]
pub(crate) struct TensorCopy {
    /// May be longer.
    memory: Vec<u8>,
    len: usize,
}

impl Copies {
    /// Room for a copy of `len` bytes, with any content.
    ///
    /// Nobody waits for the lock: in a forked process it may stay locked.
    pub(super) fn room(&self, len: usize) -> TensorCopy {
        let kept = self.0.try_lock().ok().and_then(|mut kept| {
            let fits = kept.iter().enumerate().filter(|(_, memory)| memory.len() >= len);
            let (index, _) = fits.min_by_key(|(_, memory)| memory.len())?;
            Some(kept.swap_remove(index))
        });
        TensorCopy { memory: kept.unwrap_or_else(|| vec![0; len]), len }
    }

    /// Keeps the memory of copies that are not needed any more; of too many, the last ones.
    pub(super) fn keep(&self, copies: impl IntoIterator<Item = TensorCopy>) {
        let Ok(mut kept) = self.0.try_lock() else { return };
        kept.extend(copies.into_iter().map(|copy| copy.memory));
        while kept.iter().map(Vec::len).sum::<usize>() > KEPT_BYTES {
            kept.remove(0);
        }
    }
}

impl TensorCopy {
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.len]
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.memory.as_mut_ptr()
    }
}

impl Deref for TensorCopy {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_where_it_is_large_enough() {
        let copies = Copies::default();
        copies.keep([copies.room(100), copies.room(50)]);
        let first = copies.room(40);
        assert_eq!((first.memory.len(), first.len()), (50, 40), "the smallest that fits");
        assert_eq!(copies.room(60).memory.len(), 100);
        assert_eq!(copies.room(101).memory.len(), 101, "none fits");
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        let copies = Copies::default();
        copies.keep([copies.room(KEPT_BYTES), copies.room(10)]);
        assert_eq!(copies.room(KEPT_BYTES / 2).memory.len(), KEPT_BYTES / 2);
        assert_eq!(copies.room(1).memory.len(), 10);
    }
}
