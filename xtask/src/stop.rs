//! Ctrl-C in commands that run for long: they end what they started, and say what they have found.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cargo_gpsimd::process;

/// Becomes true at Ctrl-C.
#[derive(Clone)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn at_ctrl_c() -> anyhow::Result<Self> {
        process::stop_flag().map(Self)
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The command ended before its time.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(crate) struct Stopped;
