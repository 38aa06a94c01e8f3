//! `cargo gpsimd bring-up`: whether the ops of a library work on a device, how fast they are, and what of it the cost model
//! knew, in one report to send.

mod case;
mod cases;
mod comparison;
mod drawn;
pub(crate) mod fit;
mod golden;
mod host;
mod kept;
mod launches;
mod libraries;
mod page;
mod private;
mod progress;
pub(crate) mod report;
mod session;
mod summary;
#[cfg(test)]
mod tests;
mod times;
mod worker;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, ensure};
use gpsimd_emulator::cost::CostModel;
use gpsimd_neuron_sdk::Sdk;

use crate::causes;
use crate::files;
use crate::numbers::whole;
use crate::process::{self, shown_path};
use crate::workspace::{OpCrate, OpCrates, Workspace};
use cases::Cases;
use kept::{Kept, key};
use libraries::{Builder, Built};
use private::Private;
use report::{EngineKind, FORMAT, Report, Settings, Step, StepState};
use session::Setting;
use times::Times;
pub(crate) use worker::emulated::BringUpWorker;

/// Try an op library on a Trn1 or Inf2: does it build, are its bits right, how fast is it; with a report to send back.
///
/// It takes the steps below. What fails is told, and the others go on.
///
/// The report is report.json and report.html in target/gpsimd/bring-up/neuron. It names no host, user or folder; read it
/// before you send it. `cargo gpsimd profile --calibration report.json` shows its constants.
///
/// Results are kept in the build folder: Ctrl-C loses at most the case that runs, and the same command goes on where it was;
/// what failed is tried again. The first launch of every shape is compiled, which takes minutes on a device: --seconds gives
/// every op its turn first.
///
/// --emulated does all of it on this CPU, with the op packages under the emulator: no device, SDK or Python is needed.
///
/// Exit status: 0 nothing failed, 1 something did or there is no report, 130 stopped.
#[derive(clap::Args)]
#[command(after_help = "Steps:\n\
\x20 check  what `cargo gpsimd doctor` finds\n\
\x20 build  the op packages with the Neuron SDK, and the vendor tutorial's ReLU\n\
\x20 cases  every op, bit by bit against the native tier, on golden files or drawn operands\n\
\x20 times  every op at several sizes, and the tutorial's ReLU, beside the cost model\n\
\x20 fit    the constants of the cost model that the times determine\n\
\n\
Examples:\n\
\x20 cargo gpsimd bring-up --emulated --seconds 30    # here, to see what it does\n\
\x20 cargo gpsimd bring-up --seconds 1800             # on a Trn1: half an hour for cases, and for times\n\
\x20 cargo gpsimd bring-up                            # go on, until all is done\n\
\x20 cargo gpsimd bring-up -p bert-ops --op bias_gelu_forward\n\
\x20 cargo gpsimd bring-up --json | jq '.cases[] | select(.outcome != \"equal\")'")]
pub(crate) struct BringUp {
    /// Package of an op library; may be given several times [default: that of the current folder, or all of the workspace]
    #[arg(short, long, value_name = "NAME")]
    package: Vec<String>,
    /// Path to its Cargo.toml, or to that of its workspace
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
    /// Only this op; may be given several times
    #[arg(long, value_name = "NAME")]
    op: Vec<String>,
    /// Run the op packages on this CPU instead, under the emulator
    #[arg(long)]
    emulated: bool,
    /// Seconds for comparing, and again for timing [default: as long as it takes]
    #[arg(long, value_name = "SECONDS", value_parser = whole(0..=u64::MAX))]
    seconds: Option<u64>,
    /// Seconds that one case may take, which may have to be compiled, before it is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = whole(1..=u64::MAX))]
    time_limit: u64,
    /// Seed of operands that are drawn
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = whole(0..=u64::MAX))]
    seed: u64,
    /// Folder of golden files, with a folder for each op [default: what the workspace names]
    #[arg(long, value_name = "DIR")]
    golden: Option<PathBuf>,
    /// Folder for the report [default: target/gpsimd/bring-up/neuron, or emulated]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Forget what runs before this one have done
    #[arg(long)]
    fresh: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Somebody asked to stop; the report says what was done.
#[derive(Debug, thiserror::Error)]
#[error("stopped; what is done is kept: the same command goes on")]
pub(crate) struct Stopped;

/// The command at work.
struct Run {
    options: BringUp,
    workspace: Workspace,
    crates: Vec<OpCrate>,
    golden: Option<PathBuf>,
    /// Folder for the report.
    out: PathBuf,
    /// Folder for what is kept.
    folder: PathBuf,
    private: Private,
    stop: Arc<AtomicBool>,
    report: Report,
}

impl BringUp {
    /// Takes the steps, and writes the report after each.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut run = Run::new(self)?;
        libraries::verify_ops(&run.options.op, &run.crates, &run.workspace)?;
        run.steps()?;
        let written = ["report.json", "report.html"].map(|name| run.out.join(name));
        if run.options.json {
            print!("{}", fs::read_to_string(&written[0]).context("cannot read the report")?);
        } else {
            print!("{}", summary::text(&run.report));
        }
        for file in &written {
            eprintln!("wrote {}", shown_path(file));
        }
        if run.stop.load(Ordering::Relaxed) {
            return Err(Stopped.into());
        }
        ensure!(run.report.is_good(), "something failed: the report says what");
        Ok(())
    }
}

impl Run {
    fn new(options: BringUp) -> anyhow::Result<Self> {
        let OpCrates { workspace, crates, golden } =
            OpCrates::find(&options.package, options.manifest_path.as_deref())?;
        let golden = options.golden.clone().or(golden);
        if let Some(folder) = &golden {
            ensure!(folder.is_dir(), "there is no folder {} of golden files", folder.display());
        }
        let engine = if options.emulated { EngineKind::Emulated } else { EngineKind::Neuron };
        let folder = workspace.artifacts().join("bring-up").join(engine.name());
        let out = options.out.clone().unwrap_or_else(|| folder.clone());
        for folder in [&folder, &out] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let report = Report {
            format: FORMAT,
            engine,
            written: String::new(),
            gpsimd: host::gpsimd(&workspace),
            host: report::Host::default(),
            settings: Settings {
                seed: options.seed,
                seconds: options.seconds,
                time_limit: options.time_limit,
                ops: options.op.clone(),
            },
            steps: Vec::new(),
            libraries: Vec::new(),
            cases: Vec::new(),
            times: Vec::new(),
            fit: None,
        };
        let (private, stop) = (Private::of_this_host(), process::stop_flag()?);
        Ok(Self { options, workspace, crates, golden, out, folder, private, stop, report })
    }

    fn steps(&mut self) -> anyhow::Result<()> {
        let sdk = (self.report.engine == EngineKind::Neuron).then(Sdk::locate);
        self.check(sdk.as_ref())?;
        let built = self.build(sdk.as_ref())?;
        let mut kept = Kept::open(&self.folder.join("kept.jsonl"), self.options.fresh)?;
        let stop = Arc::clone(&self.stop);
        let setting = Setting {
            engine: self.report.engine,
            sdk: sdk.as_ref(),
            folder: self.folder.clone(),
            limit: Duration::from_secs(self.options.time_limit),
            stop: &stop,
        };
        self.cases(&setting, &built, &mut kept)?;
        self.times(&setting, &built, &mut kept)?;
        self.fit()?;
        if kept.used > 0 {
            eprintln!("{} results are of earlier runs: --fresh forgets them", kept.used);
        }
        Ok(())
    }

    fn check(&mut self, sdk: Option<&Sdk>) -> anyhow::Result<()> {
        eprintln!("[1/5] check");
        let mut findings = crate::doctor::to_develop(&self.workspace);
        findings.extend(sdk.iter().flat_map(|sdk| sdk.findings().iter().cloned()));
        self.report.host = host::describe(&findings, sdk.is_some());
        let missing: Vec<_> = findings.iter().filter(|finding| !finding.state.is_usable()).collect();
        // With what to do, which is for who sits here, and not for the report.
        for finding in &missing {
            eprintln!("{finding}");
        }
        let failures = missing.iter().map(|finding| format!("{}: {}", finding.piece, finding.state)).collect();
        self.step(
            "check",
            format!("{} of {} components are there", findings.len() - missing.len(), findings.len()),
            failures,
            false,
        )
    }

    fn build(&mut self, sdk: Option<&Sdk>) -> anyhow::Result<Vec<Built>> {
        eprintln!("[2/5] build");
        let mut crates: Vec<_> = self.crates.iter().map(|krate| (krate.clone(), false)).collect();
        let mut failures = Vec::new();
        match libraries::tutorial(&self.workspace) {
            Ok(krate) => crates.push((krate, true)),
            Err(error) => failures.push(format!("the tutorial's ReLU: {}", causes(&error))),
        }
        let stop = Arc::clone(&self.stop);
        let builder = Builder { sdk, stop: &stop };
        let mut built = Vec::new();
        for (krate, is_tutorial) in &crates {
            if self.is_stopped() {
                break;
            }
            eprintln!("{}", krate.package());
            let (library, one) = builder.build(krate, *is_tutorial);
            if let Some(error) = library.error.as_ref().filter(|_| !self.is_stopped()) {
                eprintln!("error: {}: {error}", library.name);
                failures.push(format!("{}: {error}", library.name));
            }
            self.report.libraries.push(library);
            built.extend(one);
        }
        let summary = format!("{} of {} op libraries are built", built.len(), crates.len());
        let is_whole = built.len() == crates.len();
        self.step("build", summary, failures, !is_whole)?;
        Ok(built)
    }

    fn cases(&mut self, setting: &Setting<'_>, built: &[Built], kept: &mut Kept) -> anyhow::Result<()> {
        eprintln!("[3/5] cases");
        let fingerprint = self.fingerprint();
        let ops = self.options.op.clone();
        let golden = self.golden.clone();
        let cases = Cases {
            setting,
            golden: golden.as_deref(),
            ops: &ops,
            seed: self.options.seed,
            end: self.end(),
            fingerprint: &fingerprint,
        };
        let compared = cases.run(built, kept)?;
        self.report.cases = compared.cases;
        self.report.host.versions = compared.versions;
        let summary = summary::of_cases(&self.report);
        self.step("cases", summary.line, [compared.failures, summary.failures].concat(), summary.is_unfinished)
    }

    fn times(&mut self, setting: &Setting<'_>, built: &[Built], kept: &mut Kept) -> anyhow::Result<()> {
        eprintln!("[4/5] times");
        let fingerprint = self.fingerprint();
        let ops = self.options.op.clone();
        let Settings { seed, seconds, .. } = self.report.settings;
        let step = Times { setting, ops: &ops, seed, seconds, end: self.end(), fingerprint: &fingerprint };
        let timed = step.run(built, kept)?;
        self.report.times = timed.times;
        let summary = summary::of_times(&self.report);
        self.step("times", summary.line, [timed.failures, summary.failures].concat(), summary.is_unfinished)
    }

    fn fit(&mut self) -> anyhow::Result<()> {
        eprintln!("[5/5] fit");
        self.report.fit = fit::fit(&self.report.times, &CostModel::default());
        let line = match &self.report.fit {
            Some(fit) => fit.verdict.clone(),
            None => "nothing was timed".into(),
        };
        let is_unfinished = self.report.fit.is_none();
        self.step("fit", line, Vec::new(), is_unfinished)
    }

    /// Ends a step, and writes the report so far.
    fn step(&mut self, name: &str, summary: String, failures: Vec<String>, is_unfinished: bool) -> anyhow::Result<()> {
        let state = match (failures.is_empty(), is_unfinished) {
            (false, _) => StepState::Failed,
            (true, true) => StepState::Unfinished,
            (true, false) => StepState::Passed,
        };
        self.report.steps.push(Step { name: name.into(), state, summary, failures });
        self.write()
    }

    /// Writes the report, without what is private; it is then what was written.
    fn write(&mut self) -> anyhow::Result<()> {
        self.report.written = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let mut value = serde_json::to_value(&self.report)?;
        self.private.take_from(&mut value);
        let report = Report::parse(&serde_json::to_vec(&value)?)?;
        let text = serde_json::to_string_pretty(&value)? + "\n";
        put(&self.out.join("report.json"), &text)?;
        put(&self.out.join("report.html"), &page::html(&report)?)?;
        self.report = report;
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn end(&self) -> Option<Instant> {
        self.options.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds))
    }

    /// What results depend on beside the library: the host and its versions.
    fn fingerprint(&self) -> String {
        let host = &self.report.host;
        let pieces = host.pieces.iter().map(|piece| format!("{} {:?}", piece.name, piece.version));
        // Free space is among them, and changes.
        let pieces: Vec<_> = pieces.filter(|piece| !piece.starts_with("disk space")).collect();
        key(&[
            &host.system,
            &host.processor,
            &format!("{:?}", host.driver),
            &pieces.join("\n"),
            &format!("{:?}", host.environment),
        ])
    }
}

fn put(file: &Path, text: &str) -> anyhow::Result<()> {
    files::replace(file, |file| file.write_all(text.as_bytes()))
}
