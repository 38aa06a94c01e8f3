//! `cargo gpsimd`.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic: `terminal` has what does not

use std::process::ExitCode;

use cargo_gpsimd::{Cli, causes, status, terminal};

fn main() -> ExitCode {
    let errors: Vec<_> = [Cli::of_process().run(), terminal::finish()].into_iter().filter_map(Result::err).collect();
    for error in &errors {
        // Without the backtrace that `Debug` shows: these are errors of what was asked for.
        terminal::tell(format_args!("error: {}", causes(error)));
    }
    errors.first().map_or(ExitCode::SUCCESS, |error| ExitCode::from(status(error)))
}
