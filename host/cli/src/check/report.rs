//! [`Report`]: what a check found, as a table and as JSON.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use gpsimd_emulator::Op;
use gpsimd_emulator::gpsimd_descriptor::LibraryDescriptor;
use serde::Serialize;

use super::counterexample_test;
use super::search::Searched;
use super::shrink::Counterexample;
use crate::build::write;
use crate::libraries::Libraries;
use crate::process::shown_path;
use crate::replay::{Replay, Setting};
use crate::table::{lines, table};
use crate::tier::Tier;
use crate::workspace::OpCrate;

/// What a check found.
#[derive(Serialize)]
pub(super) struct Report {
    library: String,
    version: String,
    seed: u64,
    tiers: Vec<Tier>,
    pub(super) ops: Vec<OpReport>,
}

/// What it found of one op.
#[derive(Serialize)]
pub(super) struct OpReport {
    op: String,
    /// Cases, and those of them on which the op computed something.
    cases: u64,
    computed: u64,
    /// Comparisons of two results.
    comparisons: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) counterexample: Option<Found>,
}

/// A counterexample, and where it is saved.
#[derive(Serialize)]
pub(super) struct Found {
    judge: &'static str,
    kind: String,
    message: String,
    /// Operands in words.
    operands: String,
    settings: Vec<Setting>,
    /// How long it took to find, before it was made smaller.
    seconds: f64,
    /// The replay file.
    pub(super) file: PathBuf,
    /// The test.
    test: PathBuf,
}

impl Report {
    pub(super) fn new(libraries: &Libraries, seed: u64) -> Self {
        let library = libraries.native().descriptor();
        let (library, version) = (library.name.clone(), library.version.clone());
        Self { library, version, seed, tiers: libraries.tiers().collect(), ops: Vec::new() }
    }

    /// Prints a table, and below it what was found.
    pub(super) fn print(&self) {
        let tiers: Vec<_> = self.tiers.iter().map(ToString::to_string).collect();
        println!("op library {} {}, tiers {}, seed {}", self.library, self.version, tiers.join(", "), self.seed);
        let mut table = table(&["op", "cases", "computed", "comparisons", "seconds", "result"], 1);
        for op in &self.ops {
            let result = match &op.counterexample {
                Some(_) => "wrong".to_owned(),
                None if op.computed == 0 => "not tried: it refused everything that was drawn".to_owned(),
                None => "nothing found".to_owned(),
            };
            let numbers = [op.cases, op.computed, op.comparisons].map(|number| number.to_string());
            let [cases, computed, comparisons] = numbers;
            table.add_row([op.op.clone(), cases, computed, comparisons, format!("{:.1}", op.seconds), result]);
        }
        print!("{}", lines(&table));
        for op in &self.ops {
            for note in &op.notes {
                println!("{}: {note}", op.op);
            }
        }
        for op in &self.ops {
            let Some(found) = &op.counterexample else { continue };
            println!("\nop `{}` is wrong on {}", op.op, found.operands);
            println!("  {}", found.message.replace('\n', "\n  "));
            for (what, setting) in ["in", "compared with"].into_iter().zip(found.settings.iter().rev()) {
                println!("  {what}: {setting}");
            }
            println!("  again: cargo gpsimd replay {}", shown_path(&found.file));
            println!("  a test of it: {}", shown_path(&found.test));
        }
    }
}

impl OpReport {
    pub(super) fn new(op: &Op, searched: &Searched) -> Self {
        let counterexample = searched.counterexample.as_ref().map(|found| Found {
            judge: found.finding.judge,
            kind: found.finding.kind.clone(),
            message: found.finding.message.clone(),
            operands: found.operands.describe(op.descriptor()),
            settings: found.finding.settings.clone(),
            seconds: searched.found_after.unwrap_or_default().as_secs_f64(),
            file: PathBuf::new(),
            test: PathBuf::new(),
        });
        let Searched { cases, computed, comparisons, notes, time, .. } = searched;
        Self {
            op: op.name().to_owned(),
            cases: *cases,
            computed: *computed,
            comparisons: *comparisons,
            seconds: time.as_secs_f64(),
            notes: notes.clone(),
            counterexample,
        }
    }
}

impl Found {
    /// Writes the replay file and the test.
    pub(super) fn save(
        &mut self,
        library: &OpCrate,
        library_descriptor: &LibraryDescriptor,
        op: &Op,
        found: &Counterexample,
        folder: &Path,
    ) -> anyhow::Result<()> {
        let mut replay = Replay::new(library_descriptor, op.descriptor(), &found.operands);
        replay.settings.clone_from(&found.finding.settings);
        found.finding.judge.clone_into(&mut replay.judge);
        replay.finding.clone_from(&found.finding.message);
        let mut hasher = DefaultHasher::new();
        replay.to_bytes()?.hash(&mut hasher);
        let name = format!("{}-{}-{:08x}", replay.library, op.name(), hasher.finish() >> 32);
        self.file = folder.join(format!("{name}.safetensors"));
        replay.write(&self.file)?;
        self.test = folder.join(format!("{name}.rs"));
        let function = format!("{}_{:08x}", op.name(), hasher.finish() >> 32);
        let shown = shown_path(&self.file);
        let outputs = op.outputs().len();
        let text = counterexample_test::text(library.library(), op.descriptor(), outputs, found, &function, &shown);
        write(&self.test, text.as_bytes())
    }
}
