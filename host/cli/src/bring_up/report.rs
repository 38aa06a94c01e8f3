//! [`Report`]: what a bring-up found, as it is sent and read again.
//!
//! The page "The report of a bring-up" in the book describes the form. A change that an older reader would misunderstand
//! raises [`FORMAT`].

use std::path::Path;

use anyhow::{Context, bail, ensure};
use gpsimd_codegen::Manifest;
use gpsimd_emulator::gpsimd_descriptor::limits::CORES;
use serde::{Deserialize, Serialize};

use super::fit::Fit;

/// Version of the form.
pub(crate) const FORMAT: u32 = 1;

/// What a bring-up found. Nothing in it names the host, its user, or a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// What ran the ops.
    pub(crate) engine: EngineKind,
    /// When it was written: RFC 3339, UTC.
    pub(crate) written: String,
    /// What built the ops.
    pub(crate) gpsimd: Gpsimd,
    /// Where they ran.
    pub(crate) host: Host,
    /// What was asked for.
    pub(crate) settings: Settings,
    /// The steps, in order.
    pub(crate) steps: Vec<Step>,
    /// The op libraries.
    pub(crate) libraries: Vec<Library>,
    /// Launches whose results were compared.
    pub(crate) cases: Vec<CaseResult>,
    /// Launches that were timed.
    pub(crate) times: Vec<Time>,
    /// What the times say of the cost model's constants; none if nothing was timed.
    pub(crate) fit: Option<Fit>,
}

/// What runs ops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EngineKind {
    /// The GPSIMD cores of a `NeuronCore`, through `torch_neuronx`.
    Neuron,
    /// The emulator, with the op package compiled for the CPU.
    Emulated,
}

impl EngineKind {
    /// Its name in folders and files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Neuron => "neuron",
            Self::Emulated => "emulated",
        }
    }
}

/// This SDK.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gpsimd {
    /// Version of `cargo gpsimd`.
    pub(crate) version: String,
    /// Commit of the SDK that the workspace uses, with `, changed` if files differ from it; none where it comes from a registry.
    pub(crate) commit: Option<String>,
}

/// Where ops ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Host {
    /// Name and version of the operating system, and of its kernel.
    pub(crate) system: String,
    /// The processor, and how many there are of it.
    pub(crate) processor: String,
    /// Version of the Neuron driver, if it is loaded.
    pub(crate) driver: Option<String>,
    /// What the doctor found.
    pub(crate) pieces: Vec<Piece>,
    /// Versions that the process on the device states, by name.
    pub(crate) versions: Vec<(String, String)>,
    /// Environment variables that change how ops run, as they were for that process.
    pub(crate) environment: Vec<(String, String)>,
}

/// A line of the doctor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Piece {
    /// What was looked for.
    pub(crate) name: String,
    /// `ok`, `check`, `wrong` or `missing`.
    pub(crate) state: String,
    /// Its version.
    pub(crate) version: Option<String>,
    /// What is wrong.
    pub(crate) note: Option<String>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Seed of operands that are drawn.
    pub(crate) seed: u64,
    /// Seconds that comparing, and then timing, might take; none for any time.
    pub(crate) seconds: Option<u64>,
    /// Seconds that one case might take.
    pub(crate) time_limit: u64,
    /// The ops that were asked for; all if there are none.
    pub(crate) ops: Vec<String>,
}

/// A step of the bring-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// `check`, `build`, `cases`, `times` or `fit`.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) state: StepState,
    /// One line about it.
    pub(crate) summary: String,
    /// What failed in it, but for what cases and times say themselves.
    pub(crate) failures: Vec<String>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepState {
    /// Everything in it went well.
    Passed,
    /// Something failed.
    Failed,
    /// It ran out of time, or was stopped: what there is went well.
    Unfinished,
}

/// An op library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Library {
    /// Its name, or that of its crate if it did not build.
    pub(crate) name: String,
    /// What the package says about itself; none if it did not build.
    pub(crate) manifest: Option<Manifest>,
    /// SHA-256 of the files of the package, and of what was built from it, by name.
    pub(crate) sha256: Vec<(String, String)>,
    /// The compiler of the package for this CPU.
    pub(crate) compiler: Option<String>,
    /// Why there is none.
    pub(crate) error: Option<String>,
}

/// A launch whose results were compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CaseResult {
    /// The op library.
    pub(crate) library: String,
    /// The op.
    pub(crate) op: String,
    /// Name of a golden file, or what is particular about operands that were drawn.
    pub(crate) case: String,
    /// Names and types of the tensors, names and values of scalars and sizes: `x f32[3, 5], k 8`.
    pub(crate) operands: String,
    /// How it went.
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// Of a golden file, how exact the results are; none otherwise, or if there are no results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) accuracy: Option<Accuracy>,
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Every bit is that of the native tier.
    Equal {
        /// Elements of all outputs.
        elements: usize,
    },
    /// Some are not.
    Different(Difference),
    /// There is no result.
    Failed {
        /// Why.
        error: String,
    },
    /// Nobody tried.
    NotTried {
        /// Why.
        why: String,
    },
}

/// Results with other bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Difference {
    /// The output with the largest difference.
    pub(crate) output: String,
    /// Its elements.
    pub(crate) elements: usize,
    /// Of these, how many differ.
    pub(crate) differing: usize,
    /// The largest difference in units of the last place; none where one of both is not a number.
    pub(crate) ulps: Option<u64>,
    /// Where it is.
    pub(crate) at: Vec<usize>,
    /// The element there on the native tier, and its bits.
    pub(crate) expected: String,
    /// The element that was found there, and its bits.
    pub(crate) found: String,
}

/// Errors against a golden file's reference, the largest of all outputs, in units of its last place; none is infinite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Accuracy {
    /// Of the native tier.
    pub(crate) native: Option<f64>,
    /// Of what was compared with it.
    pub(crate) found: Option<f64>,
}

/// A launch that was timed: of an op, or of one of its phases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Time {
    /// The op library.
    pub(crate) library: String,
    /// The op.
    pub(crate) op: String,
    /// What is launched of it: itself, or its second phase.
    pub(crate) launch: String,
    /// The operands of the op.
    pub(crate) operands: String,
    /// What every core does in it; empty if that could not be counted.
    pub(crate) cores: Vec<Work>,
    /// Seconds by the cost model; none if what it does could not be counted.
    pub(crate) modelled: Option<f64>,
    /// The measured seconds.
    #[serde(flatten)]
    pub(crate) outcome: TimeOutcome,
}

/// The seconds of a launch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum TimeOutcome {
    /// They are known.
    Measured(Quartiles),
    /// There are none.
    Failed {
        /// Why.
        error: String,
    },
    /// Nobody tried.
    NotTried {
        /// Why.
        why: String,
    },
}

/// Seconds of equal launches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quartiles {
    /// Launches before, which are not counted.
    pub(crate) warm_up: usize,
    /// Launches that are counted.
    pub(crate) runs: usize,
    /// The least.
    pub(crate) least: f64,
    /// A quarter took less.
    pub(crate) lower: f64,
    /// Half took less.
    pub(crate) median: f64,
    /// Three quarters took less.
    pub(crate) upper: f64,
}

/// What a core does in a launch, as counted by `cargo gpsimd profile`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// DMAs.
    pub(crate) dmas: u64,
    /// Bytes of these.
    pub(crate) bytes: u64,
    /// Operations outside of vectors, without divisions and square roots.
    pub(crate) scalar: u64,
    /// Divisions and square roots of these.
    pub(crate) scalar_divisions: u64,
    /// Elements that operations in vectors handle, without those of divisions and square roots.
    pub(crate) vector: u64,
    /// Elements of divisions and square roots in vectors.
    pub(crate) vector_divisions: u64,
}

impl Report {
    /// Reads a file and verifies it.
    ///
    /// # Errors
    /// When it is not a report, of another format, or says what cannot be.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a report of `cargo gpsimd bring-up`", file.display()))
    }

    /// As [`Self::read`], of the content.
    pub(crate) fn parse(text: &[u8]) -> anyhow::Result<Self> {
        /// What every format has.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_slice(text).context("expected JSON with a number `format`")?;
        ensure!(
            head.format == FORMAT,
            "its format is {}, expected {FORMAT}: read it with the version of `cargo gpsimd` that wrote it, or a later one",
            head.format
        );
        let report: Self = serde_json::from_slice(text)?;
        for time in &report.times {
            time.verify().with_context(|| format!("the time of {}::{}", time.library, time.launch))?;
        }
        Ok(report)
    }

    /// Whether nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.steps.iter().all(|step| step.state != StepState::Failed)
    }
}

impl Time {
    /// Fails unless its numbers are ones that a bring-up writes: whoever fits or draws them divides by some.
    fn verify(&self) -> anyhow::Result<()> {
        ensure!(self.cores.len() <= CORES, "there are {} cores, expected {CORES} at most", self.cores.len());
        ensure!(self.modelled.is_none_or(|seconds| seconds >= 0.0), "`modelled` is below 0");
        let TimeOutcome::Measured(Quartiles { runs, least, lower, median, upper, .. }) = self.outcome else {
            return Ok(());
        };
        if runs == 0 || !(0.0 < least && least <= lower && lower <= median && median <= upper && upper < 1e6) {
            bail!(
                "expected at least one run, and seconds above 0 and below 1e6 that grow from `least` to `upper`: found {runs} \
                 runs, {least}, {lower}, {median}, {upper}"
            );
        }
        Ok(())
    }
}

impl Quartiles {
    /// Of the seconds of launches after a warm-up; none of no seconds.
    pub(crate) fn of(mut seconds: Vec<f64>, warm_up: usize) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        // Between two values where no value is there, as numpy's default.
        let at = |part: f64| {
            let place = part * seconds.len().saturating_sub(1) as f64;
            let (below, above) = (seconds.get(place.floor() as usize)?, seconds.get(place.ceil() as usize)?);
            Some(below + (above - below) * place.fract())
        };
        Some(Self {
            warm_up,
            runs: seconds.len(),
            least: at(0.0)?,
            lower: at(0.25)?,
            median: at(0.5)?,
            upper: at(0.75)?,
        })
    }
}
