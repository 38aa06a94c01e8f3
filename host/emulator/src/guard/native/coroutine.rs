//! [`Guard`]: one kernel's run as a coroutine.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

use corosensei::trap::CoroutineTrapHandler;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::signals;
use super::stack::{Bounds, Stack};
use crate::guard::{Code, Ended, Stop};

/// One kernel's run. The handlers of this thread's signals look at it.
pub(crate) struct Guard<'a> {
    stop: &'a Stop,
    code: &'a Code,
    /// Of this thread; none for code of the host.
    stack: Option<Stack>,
    /// Whether the kernel is in a device call.
    is_in_host: AtomicBool,
    /// While it runs: how to end it from a handler, and from within.
    handler: Cell<Option<CoroutineTrapHandler<Ended>>>,
    yielder: Cell<Option<*const Yielder<(), Ended>>>,
}

impl<'a> Guard<'a> {
    /// For one kernel of a launch that `stop` stops.
    pub(crate) fn new(stop: &'a Stop, code: &'a Code) -> Self {
        let stack = matches!(code, Code::Library(_)).then(Stack::take);
        Self {
            stop,
            code,
            stack,
            is_in_host: AtomicBool::new(false),
            handler: Cell::new(None),
            yielder: Cell::new(None),
        }
    }

    /// Runs `kernel` to whichever end.
    ///
    /// # Safety
    /// Whatever `kernel` calls, other than device calls in a [`HostCall`], may end anywhere and leave nothing that has
    /// to be done.
    pub(crate) unsafe fn call(&self, kernel: impl FnOnce() -> u32) -> Ended {
        let Some(stack) = &self.stack else { return Ended::Returned(kernel()) };
        let body = |yielder: &Yielder<(), Ended>, ()| {
            self.yielder.set(Some(yielder));
            Ended::Returned(kernel())
        };
        // SAFETY: all that `body` borrows outlives the coroutine, which ends in this function.
        let mut coroutine: Coroutine<(), Ended, Ended, Bounds> =
            unsafe { Coroutine::with_stack_unchecked(stack.bounds(), body) };
        self.handler.set(Some(coroutine.trap_handler()));
        let result = signals::with_current(self, || coroutine.resume(()));
        match result {
            CoroutineResult::Return(ended) => ended,
            CoroutineResult::Yield(ended) => {
                // SAFETY: the caller's promise: nothing on its stack has to be dropped.
                unsafe { coroutine.force_reset() };
                ended
            }
        }
    }

    /// To be held through a device call of the kernel, and dropped as the last thing in it.
    #[inline]
    pub(crate) fn host_call(&self) -> HostCall<'_> {
        self.is_in_host.store(true, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let here = 0_u8;
        if let Some(stack) = &self.stack
            && !stack.has_room_for_host((&raw const here).addr())
        {
            self.end(Ended::StackOverflow);
        }
        HostCall { guard: self }
    }

    /// Whether a device call is to fail, so that the code of the host that made it returns.
    pub(crate) fn refuses_calls(&self) -> bool {
        self.stack.is_none() && self.stop.get().is_some()
    }

    /// Whether a fault at `address` is this kernel out of stack.
    pub(super) fn is_overflow(&self, address: usize) -> bool {
        let is_below = self.stack.as_ref().is_some_and(|stack| stack.is_below(address));
        is_below && !self.is_in_host.load(Ordering::Relaxed)
    }

    /// Whether the kernel is to stop, and may at the instruction at `at`.
    pub(super) fn stops_at(&self, at: usize) -> bool {
        let Code::Library(code) = self.code else { return false };
        self.stop.get().is_some() && code.contains(&at) && !self.is_in_host.load(Ordering::Relaxed)
    }

    /// How to end the kernel while it runs.
    pub(super) fn handler(&self) -> Option<CoroutineTrapHandler<Ended>> {
        self.handler.get()
    }

    /// Ends the kernel from within a device call.
    #[cold]
    fn end(&self, how: Ended) {
        if let Some(yielder) = self.yielder.get() {
            // SAFETY: the kernel's coroutine runs: it made the call. It is never resumed.
            unsafe { (*yielder).suspend(how) };
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(stack) = self.stack.take() {
            stack.give_back();
        }
    }
}

/// A device call: nothing cuts it short. Ends the kernel at its own end if that is to stop.
pub(crate) struct HostCall<'g> {
    guard: &'g Guard<'g>,
}

impl Drop for HostCall<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.guard.stop.get().is_some() {
            self.guard.end(Ended::Stopped);
        }
        compiler_fence(Ordering::SeqCst);
        self.guard.is_in_host.store(false, Ordering::Relaxed);
    }
}
