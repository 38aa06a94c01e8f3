//! Panics of kernels on a host: caught at the entry and reported with message and source location, not printed.

use core::cell::{Cell, RefCell};
use std::boxed::Box;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::string::{String, ToString};
use std::sync::{Once, OnceLock};

use gpsimd_abi as abi;

/// What a panic said, and where.
pub(crate) struct Panic {
    message: String,
    file: String,
    line: u32,
    column: u32,
}

impl Panic {
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Where and what, readable on this thread until the next panic that is kept.
    pub(crate) fn keep(&self) -> abi::Text {
        std::thread_local! {
            static KEPT: RefCell<String> = const { RefCell::new(String::new()) };
        }
        let Self { message, file, line, column } = self;
        let text = std::format!("{file}:{line}:{column}: {message}");
        let kept = abi::Text { data: text.as_ptr(), len: text.len() };
        // The text itself stays where it is when its owner moves.
        KEPT.set(text);
        kept
    }

    /// Where; borrows the file name from `self`.
    pub(crate) fn location(&self) -> abi::Location {
        let file = abi::Text { data: self.file.as_ptr(), len: self.file.len() };
        abi::Location { file, line: self.line, column: self.column }
    }
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// The hook that was there before this library's.
static PREVIOUS: OnceLock<Hook> = OnceLock::new();

std::thread_local! {
    /// Whether this thread runs a kernel.
    static IN_KERNEL: Cell<bool> = const { Cell::new(false) };
    /// The panic of the kernel on this thread.
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Calls `kernel`; a panic becomes an error.
pub(crate) fn catch<T>(kernel: impl FnOnce() -> T) -> Result<T, Panic> {
    // The hook belongs to this library's copy of std, or to the test binary it is part of: others' panics go on to the
    // hook that was there.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // Not in the hook itself: one that holds nothing takes no memory, which nobody would free when the library is
        // unloaded.
        let _ = PREVIOUS.set(panic::take_hook());
        panic::set_hook(Box::new(|info| match PREVIOUS.get() {
            Some(previous) if !IN_KERNEL.get() => previous(info),
            _ => record(info),
        }));
    });
    IN_KERNEL.set(true);
    // A kernel's state is its own: nothing of it outlives the launch that a panic ends.
    let result = panic::catch_unwind(AssertUnwindSafe(kernel));
    IN_KERNEL.set(false);
    result.map_err(|_| {
        let unknown = || Panic { message: "no message".to_string(), file: String::new(), line: 0, column: 0 };
        LAST.take().unwrap_or_else(unknown)
    })
}

fn record(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("no message").to_string();
    let (file, line, column) =
        info.location().map_or((String::new(), 0, 0), |at| (at.file().to_string(), at.line(), at.column()));
    LAST.set(Some(Panic { message, file, line, column }));
}
