//! The log: lines on standard error, as far as `NEURON_RT_LOG_LEVEL` asks for them.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};

/// How much a line matters. A program sees the lines of its level and of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// No line at all.
    Quiet = 1,
    /// A call failed. The default.
    Error = 2,
    /// Something is probably not meant, though nothing failed.
    Warn = 3,
    /// What the runtime is and does; what kernels print.
    Info = 4,
    /// Every load and execution.
    Debug = 5,
}

/// The level as set by the last [`set`], 0 before.
static LEVEL: AtomicU8 = AtomicU8::new(0);

impl Level {
    /// The level of a name; `WARNING` and `TRACE` are those of the vendor's table that have others here.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "QUIET" => Some(Self::Quiet),
            "ERROR" => Some(Self::Error),
            "WARN" | "WARNING" => Some(Self::Warn),
            "INFO" => Some(Self::Info),
            "DEBUG" | "TRACE" => Some(Self::Debug),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "QUIET",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

/// Logs lines up to `level` from now on.
pub(crate) fn set(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Whether lines of `level` are shown.
pub(crate) fn shows(level: Level) -> bool {
    let set = LEVEL.load(Ordering::Relaxed);
    // Before `nrt_init` has read the environment, errors are.
    level as u8 <= if set == 0 { Level::Error as u8 } else { set }
}

/// Writes a line that says which function it is from.
pub(crate) fn line(level: Level, function: &str, message: impl fmt::Display) {
    if !shows(level) {
        return;
    }
    let id = std::process::id();
    let line = format!("[gpsimd emulated nrt {id}] {} {function}: {message}\n", level.name());
    // In one write, so that lines of several threads do not mix. There is nowhere to say that standard error is closed.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
