//! Work with one thread for much of its time, as building an op library or emulating it: two at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `work` for all of `items`, two at a time. Ends with the first error.
pub(crate) fn two_at_a_time<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let worker = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = work(item) {
                next.store(items.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(worker);
        worker().and(other.join().expect("a worker does not panic"))
    })
}
