//! [`Stack`]: what a kernel runs on, one for every thread that runs kernels; and that thread's signal stack.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr;

use crate::guard::STACK_BYTES;

/// What the host's device calls may take of a kernel's stack, besides [`STACK_BYTES`].
const HOST_BYTES: usize = 64 * 1024;

/// Below the stack, where nothing may be touched. A frame larger than this whose first access is to its far end is not
/// noticed: compilers touch every page of large frames in order.
const FORBIDDEN_BYTES: usize = 1024 * 1024;

/// What a signal handler needs when the kernel's stack has run out; as wasmtime takes.
const SIGNAL_BYTES: usize = 64 * 1024;

/// A kernel's stack. Handlers run on a stack of the thread's own, which comes and goes with this.
pub(super) struct Stack {
    memory: StackMemory,
    signals: Option<StackMemory>,
}

thread_local! {
    static IDLE: Cell<Option<Stack>> = const { Cell::new(None) };
}

impl Stack {
    /// This thread's.
    pub(super) fn take() -> Self {
        IDLE.try_with(Cell::take).ok().flatten().unwrap_or_else(Self::new)
    }

    /// Keeps the stack for this thread's next kernel.
    pub(super) fn give_back(self) {
        let _ = IDLE.try_with(|idle| idle.set(Some(self)));
    }

    fn new() -> Self {
        let memory = StackMemory::new(FORBIDDEN_BYTES, HOST_BYTES + STACK_BYTES);
        Self { memory, signals: signal_stack() }
    }

    /// Addresses that only a kernel touches that has run out of stack.
    pub(super) fn is_below(&self, address: usize) -> bool {
        (self.memory.start()..self.memory.start() + FORBIDDEN_BYTES).contains(&address)
    }

    /// Whether a device call at the stack pointer `at` has room.
    pub(super) fn has_room_for_host(&self, at: usize) -> bool {
        at >= self.memory.start() + FORBIDDEN_BYTES + HOST_BYTES
    }

    /// For the coroutine, which does not outlive this.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds { limit: self.memory.start(), base: self.memory.start() + self.memory.bytes }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let Some(signals) = &self.signals else { return };
        // SAFETY: asks; then changes the stack of this thread, which made this one, if it is ours still.
        unsafe {
            let mut current: libc::stack_t = std::mem::zeroed();
            if libc::sigaltstack(ptr::null(), &raw mut current) == 0 && current.ss_sp == signals.start.cast() {
                current.ss_flags = libc::SS_DISABLE;
                libc::sigaltstack(&raw const current, ptr::null_mut());
            }
        }
    }
}

/// Makes sure that handlers on this thread have a stack, as they do on Rust's own threads but not on others.
fn signal_stack() -> Option<StackMemory> {
    // SAFETY: asks.
    let current = unsafe {
        let mut current: libc::stack_t = std::mem::zeroed();
        libc::sigaltstack(ptr::null(), &raw mut current);
        current
    };
    if current.ss_flags & libc::SS_DISABLE == 0 && current.ss_size >= SIGNAL_BYTES / 4 {
        return None;
    }
    let memory = StackMemory::new(0, SIGNAL_BYTES);
    let stack = libc::stack_t { ss_sp: memory.start.cast(), ss_flags: 0, ss_size: memory.bytes };
    // SAFETY: the memory is for signals alone, and is this thread's until `Stack` is dropped.
    unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
    Some(memory)
}

/// From where to where a stack goes.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    limit: usize,
    base: usize,
}

// SAFETY: the memory between is a stack's, readable and writable but for the lower end, which nothing may touch. Both
// addresses are those of pages.
unsafe impl corosensei::stack::Stack for Bounds {
    fn base(&self) -> corosensei::stack::StackPointer {
        corosensei::stack::StackPointer::new(self.base).expect("memory is not at 0")
    }

    fn limit(&self) -> corosensei::stack::StackPointer {
        corosensei::stack::StackPointer::new(self.limit).expect("memory is not at 0")
    }
}

/// Pages of this process.
struct StackMemory {
    start: *mut u8,
    bytes: usize,
}

impl StackMemory {
    /// `forbidden` bytes that may not be touched, and after them `bytes` zeroed ones: of whole pages.
    fn new(forbidden: usize, bytes: usize) -> Self {
        let all = forbidden + bytes;
        let no_memory = || -> ! {
            let layout = Layout::from_size_align(all, 1).expect("a few megabytes");
            std::alloc::handle_alloc_error(layout)
        };
        // SAFETY: new memory, wherever there is room.
        let start = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
            libc::mmap(ptr::null_mut(), all, libc::PROT_NONE, flags, -1, 0)
        };
        if start == libc::MAP_FAILED {
            no_memory();
        }
        let memory = Self { start: start.cast(), bytes: all };
        // SAFETY: of the memory above.
        let opened =
            unsafe { libc::mprotect(memory.start.add(forbidden).cast(), bytes, libc::PROT_READ | libc::PROT_WRITE) };
        if opened != 0 {
            no_memory();
        }
        memory
    }

    fn start(&self) -> usize {
        self.start.addr()
    }
}

impl Drop for StackMemory {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped; nothing uses it any more.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }
}
