//! `cargo gpsimd neff`: shows and runs NEFF files, and writes emulated ones.

mod pack;
mod run;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use gpsimd_neff::Summary;

use crate::terminal;
use pack::Pack;
use run::Run;

/// Show a NEFF file, run one, or write one for the emulated Neuron Runtime.
///
/// Shows the header, the inputs and outputs, the subgraphs, the custom-op libraries with their functions, and the files of
/// a NEFF, whether the Neuron compiler made it or `neff pack`. The file is verified while it is read: its sizes, its
/// version, its hash, and that nothing in its archive leads elsewhere.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:\n\
\x20 cargo gpsimd neff model.neff\n\
\x20 cargo gpsimd neff --json model.neff | jq .libraries\n\
\x20 cargo gpsimd neff pack --graph graph.json --library libbert_ops.so --out model.neff\n\
\x20 cargo gpsimd neff pack --help        # what a graph.json looks like")]
pub struct Neff {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    show: Show,
}

#[derive(clap::Subcommand)]
enum Command {
    Show(Show),
    Pack(Pack),
    Run(Run),
}

/// Show a NEFF file: what `neff FILE` does.
#[derive(clap::Args)]
struct Show {
    /// The NEFF
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Neff {
    /// Shows the file or writes one.
    ///
    /// # Errors
    /// When the file is not a sound NEFF, or the graph does not fit its libraries.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Some(Command::Pack(pack)) => pack.run(),
            Some(Command::Run(run)) => run.run(),
            Some(Command::Show(show)) => show.run(),
            None => self.show.run(),
        }
    }
}

impl Show {
    fn run(self) -> anyhow::Result<()> {
        let file = self.file.context("no file named")?;
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let neff = gpsimd_neff::Neff::parse(&bytes).with_context(|| file.display().to_string())?;
        terminal::written(print(&Summary::of(&neff), self.json))
    }
}

/// Prints as it goes: a summary may be long.
fn print(summary: &Summary<'_>, json: bool) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if json {
        serde_json::to_writer_pretty(&mut out, summary)?;
        writeln!(out)?;
    } else {
        write!(out, "{summary}")?;
    }
    out.flush()
}
