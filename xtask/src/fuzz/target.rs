//! [`Target`]: a fuzz target of the repository, and where its files are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::workspace;

/// Runs the Python targets of a folder.
pub(super) const RUNNER: &str = "run.py";

/// What a target is written in.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Language {
    /// A binary of the crate in its folder.
    Rust,
    /// A module in its folder, run by `run.py`.
    Python,
}

/// A fuzz target.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) language: Language,
    /// The folder `fuzz` of its crate or package.
    pub(super) folder: PathBuf,
}

impl Target {
    /// The committed corpus.
    pub(super) fn seeds(&self) -> PathBuf {
        self.folder.join("corpus").join(&self.name)
    }

    /// What runs found interesting.
    pub(super) fn corpus(&self) -> PathBuf {
        self.kept("corpus")
    }

    /// Where the inputs of findings stay.
    pub(super) fn findings(&self) -> PathBuf {
        self.kept("findings")
    }

    /// What libFuzzer printed last.
    pub(super) fn log(&self) -> PathBuf {
        self.kept("logs").with_extension("log")
    }

    /// Words that inputs are made of.
    pub(super) fn dictionary(&self) -> Option<PathBuf> {
        Some(self.folder.join(&self.name).with_extension("dict")).filter(|file| file.is_file())
    }

    fn kept(&self, what: &str) -> PathBuf {
        workspace::target().join("fuzz").join(what).join(&self.name)
    }
}

/// All targets, by name.
pub(super) fn all() -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    for package in entries(&workspace::root().join("host"))? {
        let folder = package.join("fuzz");
        for (sources, extension, language) in
            [(folder.join("fuzz_targets"), "rs", Language::Rust), (folder.clone(), "py", Language::Python)]
        {
            let sources = if sources.is_dir() { entries(&sources)? } else { Vec::new() };
            let is_target = |source: &PathBuf| {
                source.extension().is_some_and(|found| found == extension) && !source.ends_with(RUNNER)
            };
            for source in sources.into_iter().filter(is_target) {
                let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                targets.push(Target { name, language, folder: folder.clone() });
            }
        }
    }
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(targets)
}

/// What is in a folder.
pub(super) fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("cannot read {}", folder.display());
    let entries = fs::read_dir(folder).with_context(context)?;
    entries.map(|entry| Ok(entry.with_context(context)?.path())).collect()
}
