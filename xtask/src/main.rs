//! The project's commands, each in a file of its own.

#![allow(rustdoc::invalid_html_tags, reason = "doc comments of commands are their help, which is plain text")]

mod bench;
#[cfg(test)]
mod book;
mod build_kernels;
mod dependencies;
mod fuzz;
mod miri;
mod ops_table;
mod packaging;
mod platforms;
mod python;
mod run_neff;
mod soak;
mod stop;
mod test;
mod train;
mod two_at_a_time;
mod workspace;

use std::process::ExitCode;

use cargo_gpsimd::{empty_values, status};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// The commands of the SDK's own repository; those for op libraries, here and elsewhere, are `cargo gpsimd`'s.
///
/// Every command sets up what it needs and skips what is up to date: the Rust target of kernel images, a Python
/// environment in `.venv` (2 to 3.5 GB, PyTorch among it), the wheels of `gpsimd_torch` and `gpsimd_bert`. Nothing outside
/// the checkout and the toolchain is touched; delete `.venv` and `target` to start over.
///
/// Python packages come from PyPI, PyTorch from its CPU index where that answers. With `GPSIMD_WHEELS=PLACE`, a folder of
/// wheels or the address of an index, all come from there.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(train::Train),
    Test(test::Test),
    Bench(bench::Bench),
    BuildKernels(build_kernels::BuildKernels),
    Miri(miri::Miri),
    Fuzz(fuzz::Fuzz),
    Soak(soak::Soak),
    OpsTable(ops_table::OpsTable),
    /// Pack every crate and both wheels, and try them as a new user would, without the checkout.
    ///
    /// Each crate is built from its `.crate` file, in an empty folder, out of a registry that has nothing else of this
    /// repository. `cargo install` installs the CLI from there, the wheels go into a fresh Python environment over the packages of
    /// .venv, and `cargo gpsimd new` makes an op, which is formatted, linted, tested on every tier, and called from PyTorch with
    /// its gradient.
    ///
    /// What is packed stays in target/package, and the wheels in target/gpsimd/wheels.
    Package,
    RunNeff(run_neff::RunNeff),
}

fn main() -> ExitCode {
    let mut command = Cli::command();
    let matches = command.get_matches_mut();
    let cli = empty_values::refuse(&mut command, &matches).and_then(|()| Cli::from_arg_matches(&matches));
    let result = match cli.unwrap_or_else(|error| error.exit()).command {
        Command::Train(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::BuildKernels(command) => command.run(),
        Command::Miri(command) => command.run(),
        Command::Fuzz(command) => command.run(),
        Command::Soak(command) => command.run(),
        Command::OpsTable(command) => command.run(),
        Command::Package => packaging::run(),
        Command::RunNeff(command) => command.run(),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    // Without the backtrace that `Debug` shows: these are errors of what was asked for.
    eprintln!("error: {}", cargo_gpsimd::causes(&error));
    ExitCode::from(if error.is::<stop::Stopped>() { 130 } else { status(&error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_refused_unless_it_is_handed_to_the_trainer() {
        let parse = |words: &[&str]| {
            let mut command = Cli::command();
            let matches = command.try_get_matches_from_mut(words)?;
            empty_values::refuse(&mut command, &matches)
        };
        let error = parse(&["xtask", "build-kernels", "--library", ""]).unwrap_err().to_string();
        assert!(error.contains("--library"), "{error}");
        assert!(parse(&["xtask", "train", "--data", ""]).is_ok());
    }
}
