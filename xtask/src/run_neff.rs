//! `cargo xtask run-neff`: the example of `host/neuron`, with everything it needs built.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use gpsimd_neuron::neff::Neff;

use cargo_gpsimd::{build, emulated_runtime, process, workspace};

const LIBRARY: &str = "NEURON_RT_LIBRARY";

/// Run a NEFF through libnrt: two ops of a BERT layer, checked against the golden files, or a NEFF of your own.
///
/// Without FILE it builds the ops and the emulated Neuron Runtime, makes an emulated NEFF of bias+GELU and softmax, runs it
/// on the tensors of every golden file of these ops and compares the results. With FILE it runs that NEFF once: one of
/// `neff pack` on the emulated runtime, any other through the libnrt.so.1 of this host. `$NEURON_RT_LIBRARY` names another
/// one.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask run-neff\n\
\x20 cargo xtask run-neff model.neff --core 0\n\
\x20 cargo xtask run-neff model.neff --input x=x.bin --output y=y.bin")]
pub(crate) struct RunNeff {
    /// The NEFF
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// --core N, and for a FILE --input NAME=FILE and --output NAME=FILE
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<OsString>,
}

impl RunNeff {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let here = std::env::current_dir()?;
        let is_named = std::env::var_os(LIBRARY).is_some();
        let emulated = match &self.file {
            None => true,
            Some(file) => is_emulated(file)?,
        };
        let runtime = if emulated && !is_named { Some(emulated_runtime::build()?) } else { None };
        let mut command = example()?;
        // Files among the options are relative to where the user is.
        command.current_dir(here).args(&self.file).args(&self.options);
        if self.file.is_none() {
            command.arg("--ops").arg(ops()?);
        }
        if let Some(runtime) = runtime {
            command.env(LIBRARY, runtime);
        }
        Err(process::become_it(&mut command))
    }
}

/// Runs the example on the golden files and the emulated runtime, as `cargo test --workspace` leaves them; its results are a
/// test.
pub(crate) fn on_golden_files() -> anyhow::Result<()> {
    let built = workspace::target().join("debug");
    let example = built.join("examples/run_neff");
    process::run(Command::new(example).arg("--ops").arg(ops()?).env(LIBRARY, built.join("deps/libnrt.so")))
}

/// The example, built.
fn example() -> anyhow::Result<Command> {
    process::run(
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .current_dir(workspace::root())
            .args(["build", "--release", "--package", "gpsimd-neuron", "--example", "run_neff"]),
    )?;
    Ok(Command::new(workspace::target().join("release/examples/run_neff")))
}

fn ops() -> anyhow::Result<PathBuf> {
    build::native_library(&workspace::root().join("kernels/bert-ops"))
}

/// Whether the file is for the emulated runtime. What is no NEFF is for the runtime to refuse.
fn is_emulated(file: &Path) -> anyhow::Result<bool> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Neff::parse(&bytes).is_ok_and(|neff| neff.graph().is_some()))
}
