//! `print!`, `println!` and `eprintln!` of this crate, instead of the standard library's, which panic where nobody reads any
//! more or a disk is full.
//!
//! After a failed write nothing else is written. A command goes on to its end: what it prints are results, and it has printed
//! little before it has them. [`finish`] is the error then. A closed pipe is not one: who closed it has read enough, as
//! `head` does, and the exit status is that of the command.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

use anyhow::Context;

use crate::causes;

/// What kept standard output from being written, the first time.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

macro_rules! print {
    ($($text:tt)*) => { $crate::terminal::write_out(format_args!($($text)*)) };
}

macro_rules! println {
    () => { $crate::terminal::write_out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::terminal::write_out(format_args!("{}\n", format_args!($($text)*))) };
}

macro_rules! eprintln {
    ($($text:tt)*) => { $crate::terminal::tell(format_args!($($text)*)) };
}

/// Writes to standard output, if that has not failed before.
pub(crate) fn write_out(text: Arguments<'_>) {
    if cfg!(test) {
        captured_out(text);
    } else if FAILURE.get().is_none()
        && let Err(error) = io::stdout().lock().write_fmt(text)
    {
        // Only the first one counts.
        let _ = FAILURE.set(error);
    }
}

/// Writes a line to standard error. There is nobody to tell when that fails.
pub fn tell(line: Arguments<'_>) {
    if cfg!(test) {
        captured(line);
    } else {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

/// To where unit tests capture it.
#[allow(clippy::print_stdout, reason = "in tests alone")]
fn captured_out(text: Arguments<'_>) {
    std::print!("{text}");
}

#[allow(clippy::print_stderr, reason = "in tests alone")]
fn captured(line: Arguments<'_>) {
    std::eprintln!("{line}");
}

/// Ends the output: writes what is still buffered.
///
/// # Errors
/// When this or an earlier write failed, but for a closed pipe.
pub fn finish() -> anyhow::Result<()> {
    let flushed = io::stdout().lock().flush();
    written(FAILURE.get().map_or(flushed, |error| Err(of_same_kind(error))))
}

/// Ends the process with help, which is the result then, or with what is wrong with the command line.
pub(crate) fn exit(message: &clap::Error) -> ! {
    let printed = written(message.print());
    if let (false, Err(error)) = (message.use_stderr(), printed) {
        eprintln!("error: {}", causes(&error));
        std::process::exit(1);
    }
    std::process::exit(message.exit_code())
}

/// What came of writing to standard output.
pub(crate) fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

fn of_same_kind(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
