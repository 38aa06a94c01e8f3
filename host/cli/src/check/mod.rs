//! `cargo gpsimd check`: looks for operands and settings for which an op is wrong.

mod comparison;
mod construction;
mod counterexample_test;
mod crash;
mod draw;
mod finding;
mod flush_to_zero;
mod gradient;
mod judge;
mod launcher;
mod layouts;
mod random;
mod reference;
mod report;
mod search;
mod session;
mod settings;
mod shapes;
mod shrink;
mod state;
mod supervisor;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use gpsimd_codegen::ImageError;
use gpsimd_emulator::Op;
use signal_hook::consts::SIGINT;

use construction::{Construction, Sdk};
pub(crate) use draw::Draw;
pub(crate) use judge::{Verdict, judge_again};
pub(crate) use launcher::{Interrupted, Launcher};
pub(crate) use random::Random;
use report::Report;
use session::Session;
use settings::SETTINGS;
use state::State;
use supervisor::Role;

use crate::build::source_paths;
use crate::causes;
use crate::libraries::Libraries;
use crate::numbers::whole;
use crate::tier::{self, Tier};
use crate::workspace::{OpCrate, Selection};

/// Look for operands for which an op is wrong: try to prove that it is not what it should be.
///
/// For every op of the library it draws operands that the shape function takes: no element, one, primes, sizes around vectors,
/// tiles and the TCM pool; normal, denormal and huge numbers, NaN and infinities; and launches the op on them in settings that
/// must not matter: 1 to 8 cores in any order, TCM pools of other sizes, either mode, several threads, in place, after other
/// launches, with denormals flushed in the caller, natively and as the op package that ships. All results must have the same
/// bits (any NaN is as good as another), and what an op refuses, it must refuse always in the same words.
///
/// Gradients that an op declares are compared with finite differences, and an op that names a reference with that:
/// `#[custom_op(.., reference = f)]`, a function in f64, in Rust, or in Python as "module:function". Where PyTorch and `gpsimd_torch`
/// are, ops are called through them on transposed, sliced and expanded operands, too.
///
/// A counterexample is made smaller as long as the mistake stays, and saved in target/gpsimd/counterexamples: as a file that
/// `cargo gpsimd replay` runs again, and as a test for the crate.
///
/// The same --seed draws the same operands. --seconds is the time for all ops together, without that of building.
///
/// Exit status: 0 nothing found, 1 a counterexample or an error, 2 a wrong command line, 3 no op package can be made and the native
/// library was checked alone, 130 stopped.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo gpsimd check\n\
\x20 cargo gpsimd check --op silu --seconds 120\n\
\x20 cargo gpsimd check --seed 7 --tier native\n\
\x20 cargo gpsimd check --json | jq '.ops[] | select(.counterexample)'")]
pub struct Check {
    #[command(flatten)]
    selection: Selection,
    /// Only this op; may be given several times
    #[arg(long, value_name = "NAME")]
    op: Vec<String>,
    /// Only this tier, beside native; may be given several times [default: all that can run]
    #[arg(long, value_enum)]
    tier: Vec<Tier>,
    /// Time for all ops together
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    seconds: f64,
    /// Cases of each op, instead of a time: with --seed the same check on every computer
    #[arg(long, value_name = "NUMBER", conflicts_with = "seconds", value_parser = whole(1..=u64::MAX))]
    cases: Option<u64>,
    /// What is drawn follows from it [default: another one every time]
    #[arg(long, value_name = "NUMBER", value_parser = whole(0..=u64::MAX))]
    seed: Option<u64>,
    /// Go on with the last check of the library, with its seed, from where its time or Ctrl-C ended it
    #[arg(long, conflicts_with = "seed")]
    resume: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// A seed that is short enough to type again.
fn any_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) % 1_000_000
}

/// How far each op is right by construction: of two phases, as far as both are.
fn construction_of(image: &Path, library: &OpCrate, ops: &[Op]) -> anyhow::Result<BTreeMap<String, Construction>> {
    let wasm = fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    let workspace = library.workspace().root();
    let sdk = Sdk { source: source_paths::named(&library.sdk()?, workspace)?.join("src"), workspace };
    let all = construction::of_image(&wasm, &sdk)?;
    let of = |op: &Op| {
        let descriptor = op.descriptor();
        let first = *all.get(&descriptor.name)?;
        let second = match &descriptor.then {
            Some(then) => *all.get(&then.op)?,
            None => first,
        };
        Some(if second == Construction::Whole { first } else { second })
    };
    Ok(ops.iter().filter_map(|op| Some((op.name().to_owned(), of(op)?))).collect())
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: Option<f64> = text.parse().ok();
    let is_time = |seconds: &f64| Duration::try_from_secs_f64(*seconds).is_ok();
    seconds.filter(is_time).ok_or_else(|| "expected a number of seconds, such as 30".into())
}

impl Check {
    /// Checks the ops and prints what was found.
    ///
    /// # Errors
    /// When an op has a counterexample, or something does not build.
    pub fn run(self) -> anyhow::Result<()> {
        let library = self.selection.find()?;
        let artifacts = library.workspace().artifacts();
        let (folder, counterexamples) = (artifacts.join(library.library()), artifacts.join("counterexamples"));
        for folder in [&folder, &counterexamples] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let witness = folder.join("check-launch.safetensors");
        let role = Role::of_process();
        if role == Role::Supervisor {
            return supervisor::supervise(&folder, &witness, &counterexamples);
        }
        if role == Role::Smaller {
            return crash::make_smaller(&folder, &witness);
        }
        // What no package can be made of, the native library shows all the same.
        let is_refused = |cause: &(dyn std::error::Error + 'static)| cause.is::<ImageError>();
        let (libraries, refused) = match Libraries::build(&library, &self.tiers()) {
            Err(error) if error.chain().any(is_refused) => (Libraries::build(&library, &[Tier::Native])?, Some(error)),
            libraries => (libraries?, None),
        };
        let interrupted = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGINT, Arc::clone(&interrupted)).context("cannot listen to Ctrl-C")?;
        let launcher = Launcher::new(libraries).watched(&interrupted, (role == Role::Careful).then_some(witness));
        let ops = self.ops(&launcher)?;
        let path = State::path(&folder);
        let state = self.state(&path, role, launcher.libraries())?;
        let construction = match launcher.libraries().image() {
            Some(image) => construction_of(image, &library, &ops)?,
            None => BTreeMap::new(),
        };
        let mut session = Session { library: &library, launcher, state, path, counterexamples };
        // Writing every launch down takes time, and the crash has to be reached again.
        let seconds = if role == Role::Careful { 2.0 * self.seconds } else { self.seconds };
        session.check(&ops, Duration::from_secs_f64(seconds), self.cases)?;

        let Session { launcher, state, .. } = session;
        let mut report = Report::new(launcher.libraries(), state.seed);
        report.refused = refused.as_ref().map(causes);
        report.construction = construction;
        report.ops = ops.iter().filter_map(|op| state.of(op.name()).cloned()).collect();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            report.print();
        }
        if launcher.is_interrupted() {
            return Err(Interrupted::Checking.into());
        }
        let found = report.ops.iter().filter(|op| op.is_wrong()).count();
        if found > 0 {
            bail!("{found} of {} ops have a counterexample, or refuse everything", report.ops.len());
        }
        refused.map_or(Ok(()), Err)
    }

    /// What is known so far.
    fn state(&self, path: &Path, role: Role, libraries: &Libraries) -> anyhow::Result<State> {
        // Only what this check has written is gone on with: it may have crashed before that.
        if matches!(role, Role::Careful | Role::Onward)
            && let Ok(state) = State::read(path)
            && state.run == supervisor::run()
        {
            return Ok(state);
        }
        let mut state = if self.resume { State::read(path)? } else { State::default() };
        if !self.resume {
            state.seed = self.seed.unwrap_or_else(any_seed);
        }
        state.round += 1;
        state.run = supervisor::run();
        state.libraries = libraries.files().to_vec();
        state.write(path)?;
        Ok(state)
    }

    /// Those that are asked for; otherwise all that can run.
    fn tiers(&self) -> Vec<Tier> {
        if !self.tier.is_empty() {
            return self.tier.clone();
        }
        let mut tiers = vec![Tier::Native, Tier::Package];
        match tier::isa_is_missing() {
            None => tiers.push(Tier::Isa),
            Some(reason) => eprintln!("the isa tier is left out: {reason}"),
        }
        tiers
    }

    fn ops(&self, launcher: &Launcher) -> anyhow::Result<Vec<Op>> {
        let library = launcher.libraries().native();
        for name in &self.op {
            library.op(name)?;
        }
        // A second phase is launched on what the first wrote, which nothing that is drawn is: it is checked as a part of that op.
        let is_phase = |op: &Op| {
            let mut others = library.descriptor().ops.iter();
            others.any(|other| other.then.as_ref().is_some_and(|then| then.op == op.name()))
        };
        let is_asked = |op: &Op| {
            if self.op.is_empty() { !is_phase(op) } else { self.op.iter().any(|name| name == op.name()) }
        };
        let ops: Vec<_> = library.ops().filter(is_asked).collect();
        ensure!(!ops.is_empty(), "op library `{}` has no ops", library.name());
        Ok(ops)
    }
}
