//! Kernels on the thread's own stack: where nothing can end one but its own device calls, which fail when it is to
//! stop.

use std::marker::PhantomData;
use std::ops::Range;

use super::{Code, Ended, Stop};

/// One kernel's run.
pub(crate) struct Guard<'a> {
    stop: &'a Stop,
}

impl<'a> Guard<'a> {
    /// For one kernel of a launch that `stop` stops.
    pub(crate) const fn new(stop: &'a Stop, _: &'a Code) -> Self {
        Self { stop }
    }

    /// Runs `kernel` to its end.
    ///
    /// # Safety
    /// None here.
    #[expect(clippy::unused_self, reason = "as where it is used")]
    pub(crate) unsafe fn call(&self, kernel: impl FnOnce() -> u32) -> Ended {
        Ended::Returned(kernel())
    }

    /// To be held through a device call of the kernel.
    pub(crate) const fn host_call(&self) -> HostCall<'_> {
        HostCall(PhantomData)
    }

    /// Whether a device call is to fail, so that the kernel returns.
    pub(crate) fn refuses_calls(&self) -> bool {
        self.stop.get().is_some()
    }
}

/// A device call.
pub(crate) struct HostCall<'g>(PhantomData<&'g ()>);

/// A thread that runs kernels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread;

impl Thread {
    pub(crate) const fn current() -> Self {
        Self
    }

    pub(crate) const fn to_number(self) -> usize {
        let _ = self;
        0
    }

    pub(crate) const fn from_number(_: usize) -> Self {
        Self
    }

    pub(crate) const fn signal(self) {
        let _ = self;
    }
}

/// Nobody sends signals to threads here.
pub(crate) const fn block_signals() {}

/// Nothing is forked here.
pub(crate) const fn around_forks(_: extern "C" fn(), _: extern "C" fn(), _: extern "C" fn()) {}

/// `SIGINT`, which is not seen here.
pub(crate) struct InterruptSignal;

impl InterruptSignal {
    pub(crate) const fn watch() -> Option<Self> {
        None
    }

    pub(crate) const fn count() -> u64 {
        0
    }
}

pub(crate) const fn code_around(_: usize) -> Range<usize> {
    0..0
}
