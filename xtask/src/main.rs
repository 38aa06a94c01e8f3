//! The project's commands, each in a file of its own.

mod bench;
#[cfg(test)]
mod book;
mod build_kernels;
mod doctor;
mod empty_values;
mod emulated_runtime;
mod miri;
mod neff;
mod numbers;
mod process;
mod profile;
mod python;
mod run_neff;
mod stamp;
mod test;
mod train;
mod workspace;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use gpsimd_codegen::ImageError;
use gpsimd_codegen::host_build::BuildError;
use gpsimd_isa::IsaError;
use gpsimd_neuron::sdk;

/// Custom operators for GPSIMD cores in Rust: build, run, test and measure them.
///
/// Every command sets up what it needs and skips what is up to date: the Rust target of kernel images, a Python
/// environment in `.venv` (about 6 GB, PyTorch among it), the wheel of `gpsimd_torch`. Nothing outside the checkout and
/// the toolchain is touched; delete `.venv` and `target` to start over.
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
    Doctor(doctor::Doctor),
    EmulatedRuntime(emulated_runtime::EmulatedRuntime),
    Profile(profile::Profile),
    Miri(miri::Miri),
    Neff(neff::Neff),
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
        Command::Doctor(command) => command.run(),
        Command::EmulatedRuntime(command) => command.run(),
        Command::Profile(command) => command.run(),
        Command::Miri(command) => command.run(),
        Command::Neff(command) => command.run(),
        Command::RunNeff(command) => command.run(),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    // Without the backtrace that `Debug` shows: these are errors of what was asked for.
    eprintln!("error: {error:#}");
    ExitCode::from(status(&error))
}

/// Exit status by what went wrong; clap's own is 2.
fn status(error: &anyhow::Error) -> u8 {
    let is_refused = |cause: &(dyn std::error::Error + 'static)| cause.is::<ImageError>();
    let is_missing = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(BuildError::NoCompiler { .. } | BuildError::NoTorch { .. }))
            || matches!(cause.downcast_ref(), Some(IsaError::Missing(_) | IsaError::NoNightly { .. }))
            || cause.is::<doctor::Missing>()
    };
    if error.chain().any(is_refused) {
        3
    } else if error.chain().any(is_missing) {
        4
    } else if let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<sdk::BuildError>()) {
        sdk_status(error)
    } else {
        1
    }
}

/// Exit status of what kept the Neuron SDK from building.
fn sdk_status(error: &sdk::BuildError) -> u8 {
    match error {
        sdk::BuildError::Incomplete { .. } | sdk::BuildError::NoModule { .. } => 5,
        sdk::BuildError::Stopped => 130,
        sdk::BuildError::NoPackage { .. } | sdk::BuildError::File { .. } => 1,
        _ => 6,
    }
}
