//! [`State`]: how far a check of a library has come, in the build folder, for `--resume` and for after a crash.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::report::OpReport;
use crate::files;
use crate::tier::Tier;

/// How far a check of a library has come.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) seed: u64,
    /// How often it was started by a person: what is known from before is to be gone on with.
    pub(super) round: u64,
    /// The last start: after a crash, what another one wrote is not gone on with.
    #[serde(default)]
    pub(super) run: String,
    /// The libraries that are checked.
    #[serde(default)]
    pub(super) libraries: Vec<(Tier, PathBuf)>,
    /// What is known of ops so far.
    pub(super) ops: Vec<OpReport>,
}

impl State {
    /// Where it is kept, of the folder of a library's artifacts.
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join("check.json")
    }

    /// That of an earlier check, which has to be there.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        ensure!(path.is_file(), "there is no check to resume: {} is not there", path.display());
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `cargo gpsimd check` keeps: remove it", path.display()))
    }

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec(self)?;
        files::replace(path, |file| file.write_all(&text))
    }

    /// Whether nothing more is to be done for an op now.
    pub(super) fn is_done(&self, op: &str) -> bool {
        self.of(op).is_some_and(|report| report.round == self.round || report.counterexample.is_some())
    }

    /// What is known of an op.
    pub(super) fn of(&self, op: &str) -> Option<&OpReport> {
        self.ops.iter().find(|report| report.op == op)
    }

    /// Replaces what is known of an op.
    pub(super) fn put(&mut self, mut report: OpReport) {
        report.round = self.round;
        self.ops.retain(|other| other.op != report.op);
        self.ops.push(report);
    }
}
