//! `cargo xtask miri`: the `unsafe` code of `kernels`, interpreted.

use std::process::Command;

use crate::workspace;
use cargo_gpsimd::process;

/// Run the kernels' tests under Miri, which finds undefined behaviour.
///
/// Needs a nightly toolchain (the only command that does); its components are added if they are missing.
#[derive(clap::Args)]
pub(crate) struct Miri {
    /// The nightly toolchain
    #[arg(long, default_value = "nightly")]
    toolchain: String,
}

impl Miri {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let toolchain = &self.toolchain;
        process::run(Command::new("rustup").args(["component", "add", "miri", "rust-src", "--toolchain", toolchain]))?;
        process::run(
            Command::new("rustup")
                .args([
                    "run",
                    toolchain,
                    "cargo",
                    "miri",
                    "test",
                    "--package",
                    "gpsimd-tests",
                    "--test",
                    "miri",
                    "--test",
                    "miri_indexed_dma",
                    "--test",
                    "soundness",
                ])
                // Calls between the emulator and an op library go through addresses in C structs.
                .env("MIRIFLAGS", "-Zmiri-disable-isolation")
                .env("CARGO_TARGET_DIR", workspace::target().join("miri"))
                .current_dir(workspace::root()),
        )
    }
}
