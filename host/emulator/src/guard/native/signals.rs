//! The handlers of the signals that end kernels.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Once;

use libc::{sigaction, siginfo_t};

use super::coroutine::Guard;
use super::registers;
use crate::guard::Ended;

thread_local! {
    /// The kernel that this thread runs.
    static CURRENT: Cell<*const Guard<'static>> = const { Cell::new(ptr::null()) };
    /// The number of this thread once it was asked for: a system call.
    #[cfg(target_os = "linux")]
    static THREAD: Cell<usize> = const { Cell::new(0) };
}

/// Runs `kernel` with the signals of this thread watched for `guard`.
pub(super) fn with_current<T>(guard: &Guard<'_>, kernel: impl FnOnce() -> T) -> T {
    install();
    // Kernels do not nest, but the one that launches may be a task of a pool that runs another launch's.
    let before = CURRENT.replace(ptr::from_ref(guard).cast());
    let result = kernel();
    CURRENT.set(before);
    result
}

/// A thread that runs kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thread(usize);

impl Thread {
    /// This one.
    pub(crate) fn current() -> Self {
        #[cfg(target_os = "linux")]
        return Self(THREAD.with(|number| {
            if number.get() == 0 {
                // SAFETY: asks.
                number.set(unsafe { libc::gettid() } as usize);
            }
            number.get()
        }));
        #[cfg(target_os = "macos")]
        // SAFETY: asks.
        return Self(unsafe { libc::pthread_self() });
    }

    pub(crate) const fn to_number(self) -> usize {
        self.0
    }

    pub(crate) const fn from_number(number: usize) -> Self {
        Self(number)
    }

    /// Makes its kernel look whether it is to stop. The thread may have ended, and its number may be another's: both
    /// systems check, and a thread whose kernel is not to stop goes on.
    pub(crate) fn signal(self) {
        #[cfg(target_os = "linux")]
        // SAFETY: a signal that is handled, to a thread of this process or to none.
        unsafe {
            libc::syscall(libc::SYS_tgkill, libc::getpid(), self.0 as libc::pid_t, libc::SIGURG);
        }
        #[cfg(target_os = "macos")]
        // SAFETY: a signal that is handled, to a thread of this process or to none.
        unsafe {
            libc::pthread_kill(self.0, libc::SIGURG);
        }
    }
}

/// Leaves all signals to this process's other threads.
pub(crate) fn block_signals() {
    // SAFETY: a set of its own; changes this thread alone.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut());
    }
}

/// Calls `before` before this process forks, and the others, which neither allocate nor wait, after it.
pub(crate) fn around_forks(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // In the child its one thread has another number.
    #[cfg(target_os = "linux")]
    extern "C" fn forget_number() {
        THREAD.set(0);
    }
    // SAFETY: functions that a forked child may run.
    unsafe {
        #[cfg(target_os = "linux")]
        libc::pthread_atfork(None, None, Some(forget_number));
        libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child));
    }
}

/// Handlers that were there before ours, by signal. Each is written once, before ours can run.
pub(super) struct Previous(UnsafeCell<MaybeUninit<sigaction>>);
// SAFETY: written before the handler that reads it is installed, and by one thread at a time.
unsafe impl Sync for Previous {}

impl Previous {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Installs `handler` for `signal` with flags, and remembers who was there.
    ///
    /// # Safety
    /// One thread at a time, and `handler` is one for `SA_SIGINFO`.
    pub(super) unsafe fn replace(&self, signal: c_int, handler: Handler, flags: c_int) {
        // SAFETY: asks before it changes anything, so that the handler never meets an empty place.
        unsafe {
            sigaction(signal, ptr::null(), self.0.get().cast());
            let mut ours: sigaction = std::mem::zeroed();
            ours.sa_sigaction = handler as usize;
            ours.sa_flags = flags | libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut ours.sa_mask);
            sigaction(signal, &raw const ours, ptr::null_mut());
        }
    }

    /// Who was there.
    ///
    /// # Safety
    /// [`replace`](Self::replace) has been called.
    pub(super) unsafe fn get(&self) -> &sigaction {
        // SAFETY: the caller's promise.
        unsafe { (*self.0.get()).assume_init_ref() }
    }

    /// Hands a signal on.
    ///
    /// # Safety
    /// As [`get`](Self::get), from the handler of `signal`, with what it was given.
    pub(super) unsafe fn pass_on(&self, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: the caller's promise; a handler has the type that its flags say.
        unsafe {
            let previous = self.get();
            match previous.sa_sigaction {
                libc::SIG_IGN => {}
                // Back to what the system does: what faulted faults again when we return. SIGURG is ignored.
                libc::SIG_DFL if signal == libc::SIGURG => {}
                libc::SIG_DFL => {
                    sigaction(signal, ptr::from_ref(previous), ptr::null_mut());
                }
                handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
                    std::mem::transmute::<usize, Handler>(handler)(signal, info, context);
                }
                handler => std::mem::transmute::<usize, extern "C" fn(c_int)>(handler)(signal),
            }
        }
    }
}

pub(super) type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

static BEFORE_FAULT: Previous = Previous::new();
#[cfg(target_os = "macos")]
static BEFORE_BUS: Previous = Previous::new();
static BEFORE_STOP: Previous = Previous::new();

fn install() {
    static INSTALLED: Once = Once::new();
    // SAFETY: once, by one thread.
    INSTALLED.call_once(|| unsafe {
        BEFORE_FAULT.replace(libc::SIGSEGV, on_fault, 0);
        // There a touch of what may not be touched is either.
        #[cfg(target_os = "macos")]
        BEFORE_BUS.replace(libc::SIGBUS, on_fault, 0);
        // What waits in a system call goes on waiting.
        BEFORE_STOP.replace(libc::SIGURG, on_stop, libc::SA_RESTART);
    });
}

extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: of this thread; lives while it is current.
    let guard = unsafe { CURRENT.get().as_ref() };
    // SAFETY: the system passes the information of a fault.
    let address = unsafe { (*info).si_addr() }.addr();
    if guard.is_some_and(|guard| guard.is_overflow(address)) && end(guard, Ended::StackOverflow, context) {
        return;
    }
    #[cfg(target_os = "macos")]
    let previous = if signal == libc::SIGBUS { &BEFORE_BUS } else { &BEFORE_FAULT };
    #[cfg(not(target_os = "macos"))]
    let previous = &BEFORE_FAULT;
    // SAFETY: this is the handler, which `replace` installed.
    unsafe { previous.pass_on(signal, info, context) };
}

extern "C" fn on_stop(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: of this thread; lives while it is current.
    let guard = unsafe { CURRENT.get().as_ref() };
    // SAFETY: the system passes the registers.
    let at = unsafe { registers::instruction(context) };
    if guard.is_some_and(|guard| guard.stops_at(at)) && end(guard, Ended::Stopped, context) {
        return;
    }
    // SAFETY: this is the handler, which `replace` installed.
    unsafe { BEFORE_STOP.pass_on(signal, info, context) };
}

/// Makes the kernel of the interrupted thread end when the handler returns, if it is on its own stack.
fn end(guard: Option<&Guard<'_>>, how: Ended, context: *mut c_void) -> bool {
    let Some(handler) = guard.and_then(Guard::handler) else { return false };
    // SAFETY: the system passes the registers.
    if !handler.stack_ptr_in_bounds(unsafe { registers::stack_pointer(context) }) {
        return false;
    }
    // SAFETY: the coroutine runs on the interrupted thread, whose stack pointer is on its stack. What it has written to
    // beside its stack is TCM, tensors and the host's record of it, which are consistent between device calls. The
    // registers are set as told.
    unsafe { registers::set(context, &handler.setup_trap_handler(move || how)) };
    true
}
