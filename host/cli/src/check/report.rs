//! [`Report`]: what a check found, as a table and as JSON.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use gpsimd_emulator::gpsimd_descriptor::LibraryDescriptor;
use gpsimd_emulator::{Op, Tensor};
use serde::{Deserialize, Serialize};

use super::construction::Construction;
use super::counterexample_test;
use super::search::Searched;
use super::shrink::Counterexample;
use super::values::{is_float, numbers};
use crate::build::write;
use crate::libraries::Libraries;
use crate::operands::number;
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
    /// Words that `cargo gpsimd replay` needs to find the library.
    #[serde(skip)]
    selection: String,
    /// Why there is no op package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<String>,
    /// How far ops are right by construction. What is not here was tried.
    pub(super) construction: BTreeMap<String, Construction>,
    pub(super) ops: Vec<OpReport>,
}

/// What it found of one op.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OpReport {
    pub(super) op: String,
    /// Which start of the check it is of.
    #[serde(default)]
    pub(super) round: u64,
    /// Different types and sizes.
    #[serde(default)]
    shapes: u64,
    /// Cases, and those of them on which the op computed something.
    pub(super) cases: u64,
    computed: u64,
    /// Comparisons of two results.
    comparisons: u64,
    /// How long it searched.
    seconds: f64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// What it says, of an op that has refused everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) counterexample: Option<Found>,
}

/// Cases in which nothing that an op takes may have been found yet.
const FEW: u64 = 200;

/// A counterexample, and where it is saved.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Found {
    judge: String,
    kind: String,
    message: String,
    /// Operands in words.
    operands: String,
    /// Elements of those that have few.
    #[serde(default)]
    values: Vec<String>,
    settings: Vec<Setting>,
    /// The replay file.
    pub(super) file: PathBuf,
    /// The test, where it can be one.
    test: Option<PathBuf>,
}

impl Report {
    pub(super) fn new(libraries: &Libraries, seed: u64) -> Self {
        let library = libraries.native().descriptor();
        let selection = libraries.source().map(|source| source.selecting_words(&library.name));
        let (library, version) = (library.name.clone(), library.version.clone());
        Self {
            library,
            version,
            seed,
            tiers: libraries.tiers().collect(),
            selection: selection.unwrap_or_default(),
            refused: None,
            construction: BTreeMap::new(),
            ops: Vec::new(),
        }
    }

    /// Prints a table, and below it what was found.
    pub(super) fn print(&self) {
        let tiers: Vec<_> = self.tiers.iter().map(ToString::to_string).collect();
        println!("op library {} {}, tiers {}, seed {}", self.library, self.version, tiers.join(", "), self.seed);
        let header = ["op", "shapes", "cases", "computed", "comparisons", "seconds", "DMAs", "result"];
        let mut table = table(&header, 1);
        for op in &self.ops {
            let numbers = [op.shapes, op.cases, op.computed, op.comparisons].map(|number| number.to_string());
            let [shapes, cases, computed, comparisons] = numbers;
            let seconds = format!("{:.1}", op.seconds);
            let dmas = self.construction.get(&op.op).map_or("tried", |construction| construction.name());
            let result = op.result();
            table.add_row([&op.op, &shapes, &cases, &computed, &comparisons, &seconds, dmas, result]);
        }
        print!("{}", lines(&table));
        if !self.construction.is_empty() {
            println!(
                "by construction: every DMA is the SDK's tile walk's, which at any shape leaves no tensor, writes no element twice and \
                 leaves out none; or every store is, and loads were tried"
            );
        }
        if let Some(refused) = &self.refused {
            println!("\nthere is no op package, and the native library was checked alone: {refused}");
        }
        for op in &self.ops {
            for note in &op.notes {
                println!("{}: {note}", op.op);
            }
        }
        for op in &self.ops {
            if let Some(refusal) = &op.refusal {
                println!(
                    "\nop `{}` refused everything that was drawn, {} operands, the last time with: {refusal}",
                    op.op, op.cases
                );
                if op.cases < FEW {
                    println!("  these are few: with more --seconds, or --cases, it may be found what the op takes");
                }
            }
            let Some(found) = &op.counterexample else { continue };
            println!("\nop `{}` is wrong on {}", op.op, found.operands);
            for value in &found.values {
                println!("  {value}");
            }
            println!("  {}", found.message.replace('\n', "\n  "));
            for (what, setting) in ["in", "compared with"].into_iter().zip(found.settings.iter().rev()) {
                println!("  {what}: {setting}");
            }
            println!("  again: cargo gpsimd replay {}{}", self.selection, shown_path(&found.file));
            if let Some(test) = &found.test {
                println!("  a test of it: {}", shown_path(test));
            }
        }
    }
}

/// The elements of tensors that have at most four.
fn values<'t>(tensors: impl Iterator<Item = (&'t str, &'t Tensor)>) -> Vec<String> {
    let of = |(name, tensor): (&str, &Tensor)| {
        let is_float = is_float(tensor.ty().dtype());
        let text = |x: f64| if is_float { format!("{:?}", x as f32) } else { format!("{x}") };
        let elements: Vec<_> = numbers(tensor).into_iter().map(text).collect();
        (1..=4).contains(&elements.len()).then(|| format!("{name} = {}", elements.join(", ")))
    };
    tensors.filter_map(of).collect()
}

impl OpReport {
    pub(super) fn new(op: &Op, searched: &Searched) -> Self {
        let counterexample = searched.counterexample.as_ref().map(|found| Found {
            judge: found.finding.judge.to_owned(),
            kind: found.finding.kind.clone(),
            message: found.finding.message.clone(),
            operands: found.operands.describe(op.descriptor()),
            values: values(op.descriptor().tensors().map(|(name, _)| name).zip(&found.operands.tensors)),
            settings: found.finding.settings.clone(),
            file: PathBuf::new(),
            test: None,
        });
        let Searched { cases, computed, comparisons, notes, time, .. } = searched;
        let refusal = searched.refusal.clone().filter(|_| *computed == 0 && counterexample.is_none());
        Self {
            op: op.name().to_owned(),
            round: 0,
            shapes: searched.shapes.len() as u64,
            cases: *cases,
            computed: *computed,
            comparisons: *comparisons,
            seconds: time.as_secs_f64(),
            notes: notes.clone(),
            refusal,
            counterexample,
        }
    }

    /// Of an op that ended the process that checked it.
    pub(super) fn crashed(op: &str, found: Found) -> Self {
        let counterexample = Some(found);
        let (cases, computed, comparisons, seconds) = (1, 1, 0, 0.0);
        Self {
            op: op.to_owned(),
            round: 0,
            shapes: 1,
            cases,
            computed,
            comparisons,
            seconds,
            notes: Vec::new(),
            refusal: None,
            counterexample,
        }
    }

    /// With what was done before.
    pub(super) fn after(mut self, earlier: &Self) -> Self {
        self.shapes += earlier.shapes;
        self.cases += earlier.cases;
        self.computed += earlier.computed;
        self.comparisons += earlier.comparisons;
        self.seconds += earlier.seconds;
        if self.computed > 0 {
            self.refusal = None;
        }
        self
    }

    /// In a few words.
    fn result(&self) -> &'static str {
        if self.counterexample.is_some() {
            "wrong"
        } else if self.cases == 0 {
            "not tried: no operands found"
        } else if self.computed == 0 {
            "refuses everything"
        } else {
            "nothing found"
        }
    }

    /// Whether the op passes. What was never computed was not checked.
    pub(super) const fn is_wrong(&self) -> bool {
        self.counterexample.is_some() || self.refusal.is_some()
    }
}

impl Found {
    /// A launch that ended the whole process, which is saved in `file`.
    pub(super) fn of_crash(replay: &Replay, signal: i32, file: &Path) -> Self {
        let tensors = replay.tensors.iter().map(|(name, tensor)| format!("{name} {}", tensor.ty()));
        let scalars = replay.scalars.iter().map(|(name, scalar)| format!("{name} {}", number(*scalar)));
        Self {
            judge: replay.judge.clone(),
            kind: format!("Signal{signal}"),
            message: replay.finding.clone(),
            operands: tensors.chain(scalars).collect::<Vec<_>>().join(", "),
            values: values(replay.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))),
            settings: replay.settings.clone(),
            file: file.to_path_buf(),
            test: None,
        }
    }

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
        let test = folder.join(format!("{name}.rs"));
        let function = format!("{}_{:08x}", op.name(), hasher.finish() >> 32);
        // As it is called where the workspace is.
        let shown = self.file.strip_prefix(library.workspace().root()).unwrap_or(&self.file).display();
        let shown = format!("{}{shown}", library.selecting_words(&replay.library));
        let outputs = op.outputs().len();
        let source = counterexample_test::text(library.library(), op.descriptor(), outputs, found, &function, &shown);
        write(&test, source.as_bytes())?;
        self.test = Some(test);
        Ok(())
    }
}
