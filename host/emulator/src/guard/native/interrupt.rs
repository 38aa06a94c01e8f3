//! [`InterruptSignal`]: `SIGINT`, seen on its way to the program's own handler.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use libc::siginfo_t;

use super::signals::{Handler, Previous};

/// How often `SIGINT` came while it was watched.
static COUNT: AtomicU64 = AtomicU64::new(0);
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
static BEFORE: Previous = Previous::new();

/// `SIGINT`, watched while this lives. There is one at a time: the watchdog's.
pub(crate) struct InterruptSignal {
    _one: (),
}

impl InterruptSignal {
    /// Watches `SIGINT`, if the program has a handler for it. One that has none ends.
    pub(crate) fn watch() -> Option<Self> {
        if IS_WATCHED.load(Ordering::Relaxed) {
            return None;
        }
        // SAFETY: asks; then one thread, the watchdog, replaces the handler, which is called after ours.
        unsafe {
            let mut current: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGINT, ptr::null(), &raw mut current);
            if matches!(current.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
                return None;
            }
            BEFORE.replace(libc::SIGINT, on_interrupt, current.sa_flags);
        }
        IS_WATCHED.store(true, Ordering::Relaxed);
        Some(Self { _one: () })
    }

    /// How often it came so far.
    pub(crate) fn count() -> u64 {
        COUNT.load(Ordering::Relaxed)
    }
}

impl Drop for InterruptSignal {
    fn drop(&mut self) {
        // SAFETY: asks; then puts back what was there, unless somebody has put another in place of ours.
        unsafe {
            let mut current: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGINT, ptr::null(), &raw mut current);
            if current.sa_sigaction == on_interrupt as Handler as usize {
                libc::sigaction(libc::SIGINT, BEFORE.get(), ptr::null_mut());
            }
        }
        IS_WATCHED.store(false, Ordering::Relaxed);
    }
}

extern "C" fn on_interrupt(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    // SAFETY: this is the handler, which `replace` installed.
    unsafe { BEFORE.pass_on(signal, info, context) };
}
