//! The memory of large outputs, which is kept for the next output when a tensor dies.
//!
//! PyTorch's CPU allocator returns large tensors to the system, so that each new one is as many page faults as it has
//! pages: 500 MB take longer to fault in than to compute. A training step makes the same tensors again and again, so
//! memory that came back is handed out to the next output of about the size. What nobody took for a second is left for
//! the system to reclaim when it is short of memory, and [`read_limit`] bounds what is kept at all.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::huge_pages::{self, HUGE};

/// Smaller outputs come from PyTorch's allocator, which keeps memory of this size itself.
pub(crate) const LEAST_BYTES: usize = 1 << 20;

/// Bytes that may be kept, where the default is an eighth of the machine's memory.
const LIMIT_VARIABLE: &str = "GPSIMD_OUTPUT_CACHE_BYTES";

/// Sizes are rounded up to a multiple of this.
const GRAIN: usize = 64 << 10;

/// How long memory waits for another output before the system may reclaim it.
const PATIENCE: Duration = Duration::from_secs(1);

static KEPT: Mutex<Kept> = Mutex::new(Kept { idle: Vec::new(), bytes: 0 });

/// A mapping for one output. Dropped, it is kept for another.
pub(crate) struct Block(Option<Mapping>);

/// Memory without an output.
struct Kept {
    /// From the one that waits longest to the one that came last.
    idle: Vec<Idle>,
    bytes: usize,
}

struct Idle {
    mapping: Mapping,
    since: Instant,
    is_reclaimable: bool,
}

impl Block {
    /// Memory for an output of so many bytes, with any content; `None` where the system has none.
    pub(crate) fn take(bytes: usize) -> Option<Self> {
        let bytes = bytes.checked_next_multiple_of(GRAIN)?;
        // Never waits: a process that was forked while another thread held the lock would wait for ever.
        let kept = KEPT.try_lock().ok().and_then(|mut kept| kept.take(bytes));
        Some(Self(Some(match kept {
            Some(mapping) => mapping,
            None => Mapping::new(bytes)?,
        })))
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.0.as_ref().expect("until it is dropped").start
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // Without the lock it is unmapped.
        if let (Some(mapping), Ok(mut kept)) = (self.0.take(), KEPT.try_lock()) {
            kept.give(mapping);
        }
    }
}

impl Kept {
    /// The smallest that has room for so many bytes, and not much more.
    fn take(&mut self, bytes: usize) -> Option<Mapping> {
        self.release_old();
        let fits = bytes..=bytes + bytes / 8;
        let smallest = self.idle.iter().enumerate().filter(|(_, idle)| fits.contains(&idle.mapping.bytes));
        // The one that came last, of equal ones: it may still be in a cache.
        let (index, _) = smallest.min_by_key(|(index, idle)| (idle.mapping.bytes, usize::MAX - index))?;
        let mapping = self.idle.remove(index).mapping;
        self.bytes -= mapping.bytes;
        Some(mapping)
    }

    fn give(&mut self, mapping: Mapping) {
        self.release_old();
        if mapping.bytes > limit() {
            return;
        }
        self.bytes += mapping.bytes;
        self.idle.push(Idle { mapping, since: Instant::now(), is_reclaimable: false });
        let mut excess = self.bytes.saturating_sub(limit());
        while excess > 0 {
            let oldest = self.idle.remove(0).mapping;
            self.bytes -= oldest.bytes;
            excess = excess.saturating_sub(oldest.bytes);
        }
    }

    /// Lets the system reclaim what nobody took for a while. Until it does, the memory can be used again at no cost.
    fn release_old(&mut self) {
        let waiting = self.idle.iter_mut().take_while(|idle| idle.since.elapsed() > PATIENCE);
        for idle in waiting.filter(|idle| !idle.is_reclaimable) {
            idle.mapping.make_reclaimable();
            idle.is_reclaimable = true;
        }
    }
}

/// Bytes that are kept at most.
static LIMIT: OnceLock<usize> = OnceLock::new();

/// Reads how many bytes may be kept: what the environment says, or an eighth of the machine's memory. Says what is wrong
/// with the variable.
pub(crate) fn read_limit() -> Result<(), String> {
    let limit = match std::env::var(LIMIT_VARIABLE) {
        Ok(found) if !found.is_empty() => found.trim().parse().map_err(|_| {
            format!("{LIMIT_VARIABLE} is {found:?}, expected a number of bytes (0 to keep nothing of large outputs)")
        })?,
        _ => physical_memory() / 8,
    };
    // A second import means the same.
    let _ = LIMIT.set(limit);
    Ok(())
}

fn limit() -> usize {
    LIMIT.get().copied().unwrap_or(0)
}

fn physical_memory() -> usize {
    // SAFETY: takes numbers alone.
    let (pages, page) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    usize::try_from(pages).unwrap_or(0).saturating_mul(usize::try_from(page).unwrap_or(0))
}

/// Anonymous memory, unmapped when dropped. It starts at a huge page.
struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: memory alone, which any thread may use and unmap.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(bytes: usize) -> Option<Self> {
        let with_room = bytes.checked_add(HUGE)?;
        // SAFETY: a new mapping where the system chooses.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                with_room,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return None;
        }
        let before = start.addr().next_multiple_of(HUGE) - start.addr();
        let first = start.cast::<u8>().wrapping_add(before);
        // SAFETY: the mapping's own bytes before and after those that stay.
        unsafe {
            unmap(start.cast(), before);
            unmap(first.wrapping_add(bytes), with_room - before - bytes);
            huge_pages::advise(first, bytes);
        }
        Some(Self { start: NonNull::new(first)?, bytes })
    }

    fn make_reclaimable(&mut self) {
        // SAFETY: the mapping's own bytes, whose content nobody needs.
        unsafe { libc::madvise(self.start.as_ptr().cast::<c_void>(), self.bytes, libc::MADV_FREE) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping's own bytes, which nobody reaches any more.
        unsafe { unmap(self.start.as_ptr(), self.bytes) };
    }
}

/// # Safety
/// The bytes are whole pages of the caller's.
unsafe fn unmap(start: *mut u8, bytes: usize) {
    if bytes > 0 {
        // SAFETY: the caller's promise.
        unsafe { libc::munmap(start.cast(), bytes) };
    }
}
