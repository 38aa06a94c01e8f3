//! The project's commands, each in a file of its own.

mod bench;
mod build_kernels;
mod miri;
mod process;
mod python;
mod stamp;
mod test;
mod train;
mod workspace;

use clap::{Parser, Subcommand};

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
    Miri(miri::Miri),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Train(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::BuildKernels(command) => command.run(),
        Command::Miri(command) => command.run(),
    }
}
