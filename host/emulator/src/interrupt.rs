//! [`InterruptHandle`]: ends the launches that run on an engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Ends the launches that run on an engine, from any thread or signal handler: they return
/// [`Misuse::Interrupted`](crate::Misuse::Interrupted). See
/// [`Engine::interrupt_handle`](crate::Engine::interrupt_handle).
#[derive(Clone, Debug, Default)]
pub struct InterruptHandle {
    requests: Arc<AtomicU64>,
}

impl InterruptHandle {
    /// Ends the launches that run now, wherever their kernels are. Those that begin later run. May be called from a
    /// signal handler.
    pub fn interrupt(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn requests(&self) -> &AtomicU64 {
        &self.requests
    }
}
