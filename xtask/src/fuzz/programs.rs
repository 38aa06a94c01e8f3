//! [`Programs`]: the fuzz targets, built.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::target::{Language, RUNNER, Target};
use crate::python::{Overlay, Python};
use crate::workspace;
use cargo_gpsimd::process;

/// What libFuzzer needs of a compiler: counters of edges, and calls that show it what is compared. Mistakes that only debug
/// builds see are to be seen. All of it is stable; the sanitizers are not, and what is read here is read in safe Rust.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Ccodegen-units=1";

/// Programs of fuzz targets, which take libFuzzer's arguments.
pub(super) struct Programs {
    binaries: PathBuf,
    /// Where one is in Python.
    python: Option<Python>,
}

impl Programs {
    /// Builds those of `targets`.
    pub(super) fn build(targets: &[Target]) -> anyhow::Result<Self> {
        let built = workspace::target().join("fuzz");
        let host = host_triple()?;
        let mut folders: Vec<&Path> =
            targets.iter().filter(|target| target.language == Language::Rust).map(|target| &*target.folder).collect();
        folders.sort_unstable();
        folders.dedup();
        for folder in folders {
            // For a named target, the flags are not those of build scripts and macros.
            process::run(
                process::cargo()
                    .args(["build", "--release", "--target", &host, "--manifest-path"])
                    .arg(folder.join("Cargo.toml"))
                    .env("RUSTFLAGS", FLAGS)
                    .env("CARGO_TARGET_DIR", &built)
                    .current_dir(workspace::root()),
            )?;
        }
        let is_python = targets.iter().any(|target| target.language == Language::Python);
        let python = if is_python { Some(Python::with_application()?.with(Overlay::Fuzz)?) } else { None };
        Ok(Self { binaries: built.join(host).join("release"), python })
    }

    /// Runs `target`.
    pub(super) fn command(&self, target: &Target) -> Command {
        let Some(python) = self.python.as_ref().filter(|_| target.language == Language::Python) else {
            let mut command = Command::new(self.binaries.join(&target.name));
            command.current_dir(workspace::root());
            return command;
        };
        let mut command = python.command();
        command.arg(target.folder.join(RUNNER)).arg(&target.name);
        command
    }
}

fn host_triple() -> anyhow::Result<String> {
    let version = process::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.unwrap_or_default().to_owned())
}
