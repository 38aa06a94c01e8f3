//! Huge pages for the memory of large outputs: writing new memory for the first time takes several times as long as
//! writing it again, since every page of 4 KiB is a fault.

/// Bytes of a huge page of x86, and of aarch64 with pages of 4 KiB.
pub(crate) const HUGE: usize = 2 << 20;

/// Asks for huge pages, before anything is written there. Only advice: that the system refuses it changes nothing but
/// the time.
///
/// # Safety
/// The bytes are a mapping of the caller's; `start` is a multiple of [`HUGE`].
pub(crate) unsafe fn advise(start: *mut u8, bytes: usize) {
    // Whole huge pages.
    let bytes = bytes / HUGE * HUGE;
    if bytes > 0 && are_free(bytes) {
        // SAFETY: the caller's promise; the content does not change.
        unsafe { libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE) };
    }
}

/// Whether so many bytes of memory lie free in huge pages. Where they do not, the system would stop to move others'
/// pages together, which takes longer than the faults.
fn are_free(bytes: usize) -> bool {
    /// The order of a huge page, of so many pages a power of two.
    const ORDER: usize = 9;
    // "Node 0, zone   Normal", and the number of free blocks of each order.
    let Ok(blocks) = std::fs::read_to_string("/proc/buddyinfo") else { return false };
    let free = blocks.lines().flat_map(|zone| {
        let orders = zone.split_whitespace().skip(4).enumerate().skip(ORDER);
        orders.filter_map(|(order, count)| Some(count.parse::<usize>().ok()? << (order - ORDER)))
    });
    free.sum::<usize>().saturating_mul(HUGE) >= bytes
}
