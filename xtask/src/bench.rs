//! `cargo xtask bench`: every op against PyTorch, in one run.

use std::ffi::OsString;

use crate::process;
use crate::python::Python;

/// Measure every op against PyTorch, eager and compiled, on the same data in the same run.
///
/// BERT-base shapes, f32, fast mode. The table shows the median time of each, the ratio to the faster of PyTorch's two,
/// and the time that moving the op's bytes would take at this machine's memory-copy bandwidth.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask bench\n\
\x20 cargo xtask bench --op masked_softmax_forward --rounds 50\n\
\x20 cargo xtask bench --json bench.json\n\
\x20 cargo xtask bench -- --help")]
pub(crate) struct Bench {
    /// Arguments of the benchmark
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<OsString>,
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let python = Python::set_up()?;
        let here = std::env::current_dir()?;
        Err(process::become_it(
            python.command().current_dir(here).args(["-m", "gpsimd_torch.bench"]).args(self.options),
        ))
    }
}
