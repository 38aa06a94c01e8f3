//! [`Guard`]: runs a core's kernel so that the host can take its thread back.
//!
//! A kernel may loop for ever or recurse without end, and it runs in this process. So every core's kernel is a
//! coroutine (`corosensei`) with a stack of a known size, the same on every thread. Two signals end one:
//!
//! - `SIGSEGV` (macOS: `SIGBUS` too) below the kernel's stack is a stack overflow.
//! - `SIGURG`, which [`watchdog`](crate::watchdog) sends to the thread, stops a kernel whose launch is to end.
//!
//! Their handler changes the registers of the interrupted thread: when it returns, the coroutine returns. Nothing of
//! the kernel runs any more, and its stack is the next kernel's. What it leaves behind is what kernels can hold: TCM,
//! which the next launch starts afresh, and nothing that has to be dropped. A device call of the host is never cut
//! short, since it may hold a lock: at its end it looks whether the kernel is to stop, and suspends it for good. Code
//! of other libraries (`malloc`) is not cut short either: the watchdog asks again until it meets the library's own.
//!
//! Every other signal goes on to the handler that was there before.
//!
//! Elsewhere (Windows, Miri) kernels run on the thread's own stack and cannot be stopped but at their DMAs.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(all(
    any(target_os = "linux", target_os = "macos"),
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(miri)
))]
#[path = "native/mod.rs"]
mod system;
#[cfg(not(all(
    any(target_os = "linux", target_os = "macos"),
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(miri)
)))]
#[path = "plain.rs"]
mod system;

pub(crate) use system::{Guard, HostCall, InterruptSignal, Thread, around_forks, block_signals, code_around};

/// Bytes of stack that a kernel has: many times what a core has, since a build for this host has larger frames.
pub(crate) const STACK_BYTES: usize = 1024 * 1024;

/// How a kernel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "where nothing can end a kernel")]
pub(crate) enum Ended {
    /// Its launch was to stop before it began.
    NotStarted,
    /// It returned this status.
    Returned(u32),
    /// It was stopped: see the [`Stop`] of its launch.
    Stopped,
    /// It needed more than [`STACK_BYTES`].
    StackOverflow,
}

/// Why the kernels of a launch are to stop, if they are. Any thread may set it, once.
#[derive(Debug, Default)]
pub(crate) struct Stop(AtomicU8);

/// Why a launch is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// It took longer than it may.
    TimeLimit = 1,
    /// Somebody asked for it.
    Interrupt = 2,
}

impl Stop {
    /// Stops the launch, unless it is stopped already.
    pub(crate) fn set(&self, reason: Reason) {
        let _ = self.0.compare_exchange(0, reason as u8, Ordering::Release, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<Reason> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Reason::TimeLimit),
            _ => Some(Reason::Interrupt),
        }
    }
}

/// What may be cut short.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "where nothing can end a kernel")]
pub(crate) enum Code {
    /// Code at these addresses: the op library's own.
    Library(Range<usize>),
    /// None: the op is code of the host, which has to return. It is stopped at its device calls, which fail.
    Host,
}
