//! What goes wrong, typed: loading a library, asking for a shape, launching an op, running its kernel.

mod kernel;
mod launch;
mod load;

pub(crate) use kernel::text as kernel_text;
pub use kernel::{HeldBuffers, KernelError, LastDma, Misuse, SourceLocation, TcmProblem, Transfer};
pub use launch::{ConfigError, LaunchError, OperandError};
pub use load::{LoadError, UnknownOp};

/// `3 elements`, `1 element`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `` `a`, `b`, `c` ``.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
