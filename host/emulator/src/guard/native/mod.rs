//! Kernels as coroutines, ended by signals: Linux and macOS.

mod code;
mod coroutine;
mod interrupt;
mod registers;
mod signals;
mod stack;

pub(crate) use code::code_around;
pub(crate) use coroutine::{Guard, HostCall};
pub(crate) use interrupt::InterruptSignal;
pub(crate) use signals::{Thread, around_forks, block_signals};
