//! Large outputs in huge pages: writing a new tensor takes several times as long as writing one that is there, since
//! every page of 4 KiB is a fault.

use gpsimd_emulator::TensorViewMut;

/// Smaller outputs are not worth a system call; PyTorch's allocator gives these from memory that it has.
#[cfg(target_os = "linux")]
const LEAST_BYTES: usize = 4 << 20;

/// Asks for huge pages where a new output is large, before anything is written there. Only advice: that the system
/// refuses it changes nothing but the time.
#[cfg(target_os = "linux")]
pub(crate) fn advise(output: &TensorViewMut<'_>) {
    const HUGE: usize = 2 << 20;
    let (start, bytes) = (output.as_ptr().addr(), output.ty().bytes());
    if bytes < LEAST_BYTES {
        return;
    }
    // Whole huge pages inside the tensor: no memory around it is touched.
    let first = start.next_multiple_of(HUGE);
    let last = (start + bytes) / HUGE * HUGE;
    if first < last && are_free(last - first) {
        // SAFETY: the pages are inside an allocation, and their content does not change.
        unsafe { libc::madvise(output.as_ptr().wrapping_add(first - start).cast(), last - first, libc::MADV_HUGEPAGE) };
    }
}

/// Whether so many bytes of memory lie free in huge pages. Where they do not, the system would stop to move others'
/// pages together, which takes longer than the faults.
#[cfg(target_os = "linux")]
fn are_free(bytes: usize) -> bool {
    /// Of x86 and of aarch64 with pages of 4 KiB: the order of a huge page, of so many pages a power of two.
    const ORDER: usize = 9;
    // "Node 0, zone   Normal", and the number of free blocks of each order.
    let Ok(blocks) = std::fs::read_to_string("/proc/buddyinfo") else { return false };
    let free = blocks.lines().flat_map(|zone| {
        let orders = zone.split_whitespace().skip(4).enumerate().skip(ORDER);
        orders.filter_map(|(order, count)| Some(count.parse::<usize>().ok()? << (order - ORDER)))
    });
    free.sum::<usize>().saturating_mul(2 << 20) >= bytes
}

/// Elsewhere the system decides.
#[cfg(not(target_os = "linux"))]
pub(crate) fn advise(_output: &TensorViewMut<'_>) {}
