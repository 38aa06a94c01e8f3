//! Panics of kernels on an emulated Xtensa core: its panic handler reports them and ends the program, so none is
//! caught.

use gpsimd_abi as abi;

/// What `catch` never returns.
pub(crate) enum Panic {}

impl Panic {
    pub(crate) fn message(&self) -> &str {
        match *self {}
    }

    pub(crate) fn keep(&self) -> abi::Text {
        match *self {}
    }

    pub(crate) fn location(&self) -> abi::Location {
        match *self {}
    }
}

/// Calls `kernel`.
pub(crate) fn catch<T>(kernel: impl FnOnce() -> T) -> Result<T, Panic> {
    Ok(kernel())
}
