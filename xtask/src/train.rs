//! `cargo xtask train`: the trainer, with everything it needs set up.

use std::ffi::OsString;

use crate::process;
use crate::python::Python;

/// Fine-tune BERT on reviews, with PyTorch's ops, with the Rust ops, or with both.
///
/// Sets up the Python environment, the op library and the wheel, then runs `python -m gpsimd_torch.train` with the
/// arguments given here. Without any it trains on a small set of synthetic reviews.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask train --steps 40 --ops both\n\
\x20 cargo xtask train --data path/to/amazon-reviews --epochs 1 --output-dir out\n\
\x20 cargo xtask train -- --help            # all of the trainer's options\n\
\n\
On several processes: .venv/bin/torchrun --nproc_per_node 2 -m gpsimd_torch.train ...")]
pub(crate) struct Train {
    /// Arguments of the trainer
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<OsString>,
}

impl Train {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let python = Python::set_up()?;
        let here = std::env::current_dir()?;
        // Paths among the options are relative to where the user is.
        Err(process::become_it(
            python.command().current_dir(here).args(["-m", "gpsimd_torch.train"]).args(self.options),
        ))
    }
}
