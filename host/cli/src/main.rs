//! `cargo gpsimd`.

use std::process::ExitCode;

use cargo_gpsimd::Cli;

fn main() -> ExitCode {
    let Err(error) = Cli::of_process().run() else { return ExitCode::SUCCESS };
    // Without the backtrace that `Debug` shows: these are errors of what was asked for.
    eprintln!("error: {error:#}");
    ExitCode::from(cargo_gpsimd::status(&error))
}
