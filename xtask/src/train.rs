//! `cargo xtask train`: the trainer, with everything it needs set up.

use std::ffi::OsString;

use anyhow::bail;

use crate::python::{self, Python};
use cargo_gpsimd::process;

/// What threads of OpenMP do while they wait.
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";

/// Fine-tune BERT on reviews, with PyTorch's ops, with the Rust ops, or with both.
///
/// Sets up the Python environment, the op library and the wheels, then runs `python -m gpsimd_bert.train` with the
/// arguments given here. Without any it trains on a small set of synthetic reviews.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask train --steps 40 --ops both\n\
\x20 cargo xtask train --data path/to/amazon-reviews --epochs 1 --output-dir out\n\
\x20 cargo xtask train -- --help            # all of the trainer's options\n\
\n\
On several processes: .venv/bin/torchrun --nproc_per_node 2 -m gpsimd_bert.train ...")]
pub(crate) struct Train {
    /// Arguments of the trainer
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<OsString>,
}

impl Train {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if python::application().is_none() {
            bail!(
                "there is no host/bert in this checkout, which is the trainer: the SDK works without it, this command does not"
            );
        }
        let python = Python::set_up()?;
        let mut command = python.command();
        // Paths among the options are relative to where the user is.
        command.current_dir(std::env::current_dir()?).args(["-m", "gpsimd_bert.train"]).args(self.options);
        // Threads that spin while they wait take the CPU from those they wait for, where anybody else has work for it.
        // host/bert/docs/training.md has the measurement. PyTorch's OpenMP reads it as it is loaded, too early for Python.
        if std::env::var_os(WAIT_POLICY).is_none() {
            command.env(WAIT_POLICY, "PASSIVE");
        }
        Err(process::become_it(&mut command))
    }
}
