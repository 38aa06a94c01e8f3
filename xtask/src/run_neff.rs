//! `cargo xtask run-neff`: the example of `host/nrt`, with everything it needs built.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use cargo_gpsimd::{build, process};

use crate::workspace;

const LIBRARY: &str = "NEURON_RT_LIBRARY";

/// Run a NEFF through libnrt: two ops of a BERT layer, checked against the golden files.
///
/// Builds the ops and the emulated Neuron Runtime, makes an emulated NEFF of bias+GELU and softmax, runs it on the tensors
/// of every golden file of these ops and compares the results. `$NEURON_RT_LIBRARY` names another libnrt. `cargo gpsimd neff
/// run` runs a NEFF of your own.
#[derive(clap::Args)]
pub(crate) struct RunNeff {
    /// --core N
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<OsString>,
}

impl RunNeff {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut command = example()?;
        command.args(&self.options);
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

/// The example on the op library, built, and on the runtime, unless the environment names another.
pub(crate) fn example() -> anyhow::Result<Command> {
    process::run(
        process::cargo()
            .current_dir(workspace::root())
            .args(["build", "--release", "--package", "gpsimd-nrt", "--example", "run_neff"])
            .args(["--package", "gpsimd-nrt-emulated", "--lib"]),
    )?;
    let mut command = Command::new(workspace::target().join("release/examples/run_neff"));
    command.arg("--ops").arg(ops()?);
    if std::env::var_os(LIBRARY).is_none() {
        command.env(LIBRARY, workspace::target().join("release/libnrt.so"));
    }
    Ok(command)
}

fn ops() -> anyhow::Result<PathBuf> {
    build::native_library(&workspace::op_crate("kernels/bert-ops")?)
}
