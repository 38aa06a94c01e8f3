//! `cargo xtask bench`: every op or whole training steps against `PyTorch`, or the package tier against the native one, in
//! one run.

mod tiers;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::ensure;

use crate::python::{Overlay, Python};
use cargo_gpsimd::process;

/// Measure every op or training steps against PyTorch, or the op package against the native library, in the same run.
///
/// BERT-base shapes (batch 8, sequence 128, hidden 3072, 12 heads, AdamW on 22 million parameters), f32, fast mode.
///
/// --tier native (the default) compares with PyTorch, eager and compiled: the median time of each, the ratio to the faster
/// of PyTorch's two, and the time that moving the op's bytes would take at this machine's memory-copy bandwidth.
///
/// --step compares training steps and inference of BERT instead: forward, backward and AdamW with dropout on, f32 and bf16,
/// lengths 128 and 512, against stock eager and stock compiled.
///
/// --tier package builds both tiers and compares them: the median time of the native library, of the native library made
/// to copy every tile to TCM and back as the package and the device do, and of the package. The first two differ by the
/// copies alone; the last two by the generated C++, its compiler, and its smaller tiles: the package keeps stack and
/// constants in TCM, too. Each round times all three in turn; all must return the same bits. AdamW runs in place.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask bench\n\
\x20 cargo xtask bench --op masked_softmax_forward --rounds 50\n\
\x20 cargo xtask bench --json bench.json\n\
\x20 cargo xtask bench --checked --newest-torch\n\
\x20 cargo xtask bench --step -- --case minilm-16x128-f32-train\n\
\x20 cargo xtask bench --tier package\n\
\x20 cargo xtask bench --tier package --op adamw_step --rounds 15 --json tiers.json\n\
\x20 cargo xtask bench -- --help           # of the comparison with PyTorch")]
pub(crate) struct Bench {
    /// What is measured
    #[arg(long, value_enum, default_value_t = Tier::Native)]
    tier: Tier,
    /// Training steps and inference of BERT, not single ops
    #[arg(long, conflicts_with_all = ["tier", "op", "checked"])]
    step: bool,
    /// Time the ops in checked mode, too
    #[arg(long, conflicts_with = "tier")]
    checked: bool,
    /// With the newest PyTorch that the package is tested with, in an environment of its own (300 MB, once)
    #[arg(long, conflicts_with = "tier")]
    newest_torch: bool,
    /// Only this op; may be given several times
    #[arg(long, value_name = "OP")]
    op: Vec<String>,
    /// Rounds, each of which times everyone once
    /// [default: 30; 15 with --step]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Host threads [default: 2 for the package, as many as PyTorch takes otherwise]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Also write the rows to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// More arguments of the comparison with PyTorch
    #[arg(last = true, value_name = "OPTIONS")]
    options: Vec<OsString>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Tier {
    /// The native library, against PyTorch
    Native,
    /// The op package compiled for this CPU, against the native library
    Package,
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.tier {
            Tier::Native => self.against_pytorch(),
            Tier::Package => {
                ensure!(self.options.is_empty(), "what follows `--` is for the comparison with PyTorch: leave it out");
                let threads = self.threads.unwrap_or(2);
                tiers::measure(&self.op, self.rounds.unwrap_or(30), threads, self.json.as_deref())
            }
        }
    }

    fn against_pytorch(self) -> anyhow::Result<()> {
        let mut python = Python::set_up()?;
        if self.newest_torch {
            python = python.with(Overlay::NewestTorch)?;
        }
        let here = std::env::current_dir()?;
        let mut bench = python.command();
        bench.current_dir(here).args(["-m", if self.step { "gpsimd_torch.bench.step" } else { "gpsimd_torch.bench" }]);
        for op in &self.op {
            bench.args(["--op", op]);
        }
        if self.checked {
            bench.arg("--checked");
        }
        if let Some(rounds) = self.rounds {
            bench.args(["--rounds", &rounds.to_string()]);
        }
        if let Some(threads) = self.threads {
            bench.args(["--threads", &threads.to_string()]);
        }
        if let Some(file) = &self.json {
            bench.arg("--json").arg(file);
        }
        Err(process::become_it(bench.args(self.options)))
    }
}
