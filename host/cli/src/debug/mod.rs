//! `cargo gpsimd debug`: one launch in a debugger, or all that it did in a folder and on a page.

mod breakpoints;
mod debugger;
mod dump;
mod index;
mod page;
mod program;
mod vscode;
mod wider;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use gpsimd_emulator::gpsimd_descriptor::limits::CORES;
use gpsimd_emulator::{DType, Op, OpLibrary};
use sha2::{Digest, Sha256};

use crate::files;
use crate::libraries::Libraries;
use crate::numbers::whole;
use crate::operands::Operands;
use crate::process::{self, shown_path};
use crate::profile::operands::{Given, operands, operands_of, verify_given};
use crate::replay::{Replay, Setting, operands_in};
use crate::tier::Tier;
use crate::workspace::{OpCrate, Selection};
use debugger::{Debugger, Session};

pub(crate) use program::Program;

/// Look into one launch of an op: in a debugger, on a page with every DMA, or beside the same launch in f32.
///
/// The launch is that of a replay file, as `cargo gpsimd check` saves one; or on the tensors of a safetensors file, as Python
/// writes them; or on operands that are drawn, whose shapes are given with --shape.
///
/// Without --dump and --f32 it starts gdb, or lldb, at the kernel's function. The op library is built for it with every line
/// and variable and without optimisation, which changes no bit of any result. All cores run one after another on one thread, with
/// --core 3 that core first: the breakpoint is met once for each core, and once more in the second run that checked mode makes. On
/// the package tier it is the emitted C++ that the debugger shows.
///
/// With --dump the launch is recorded: DIR gets index.json (every DMA and TCM buffer of every core, in order, with its source
/// line), the data of the DMAs in one safetensors file for each core, the outputs, and launch.html: a timeline of the cores by
/// the cost model, the TCM of each, the elements that every DMA moved, and which core, DMA and line wrote an element of an
/// output. A launch that fails is recorded as far as it came.
///
/// With --f32, operands of bf16 and f16 are widened to f32, which is exact, and the op runs on both: differences beyond one
/// rounding of the result come of the narrow type within the kernel, differences below it are no mistake of its logic. There
/// is no run in f64: a GPSIMD core has no f64, so that no kernel is compiled for one. The book's page "Debug a kernel" says
/// what to do instead for an op on f32.
///
/// Exit status: that of the debugger, or 0; 1 an error, with --dump and --f32 also of the launch, 2 a wrong command line.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo gpsimd debug silu --shape x=3x1001 --core 2\n\
\x20 cargo gpsimd debug --replay target/gpsimd/counterexamples/my_ops-silu-1f6d3c8e.safetensors\n\
\x20 cargo gpsimd debug silu --operands batch7.safetensors --dump launch\n\
\x20 cargo gpsimd debug silu --shape x=100 --break src/lib.rs:29 --debugger lldb\n\
\x20 cargo gpsimd debug silu --shape x=100 --tier package\n\
\x20 cargo gpsimd debug silu --shape x=100 -- -batch -ex bt       # what follows -- is for the debugger\n\
\x20 cargo gpsimd debug silu --shape x=100 --vscode\n\
\x20 cargo gpsimd debug silu --shape x=3x1001 --dump launch && xdg-open launch/launch.html\n\
\x20 cargo gpsimd debug silu --shape x=3x1001 --dtype bf16 --f32")]
pub(crate) struct Debug {
    #[command(flatten)]
    selection: Selection,
    /// The op; not needed with --replay
    #[arg(value_name = "OP", required_unless_present = "replay")]
    op: Option<String>,
    /// Take operands and settings from this replay file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shape", "scalar", "dtype"])]
    replay: Option<PathBuf>,
    /// Shape of a tensor operand, with `:i32` and the like of an op that takes any element type; may be given several times
    #[arg(long, value_name = "OPERAND=8x128")]
    shape: Vec<Given>,
    /// Take the tensor operands from this safetensors file, by their names
    #[arg(long, value_name = "FILE", conflicts_with_all = ["replay", "shape", "dtype"])]
    operands: Option<PathBuf>,
    /// Value of a scalar or size [default: 1, or true]; may be given several times
    #[arg(long, value_name = "OPERAND=NUMBER|BOOL")]
    scalar: Vec<Given>,
    /// Element type of the generic operands [default: f32]
    #[arg(long, value_enum)]
    dtype: Option<ElementType>,
    /// What runs the kernel [default: that of the replay file, or native]
    #[arg(long, value_enum)]
    tier: Option<Tier>,
    /// The core to stop in: it runs before the others
    #[arg(long, value_name = "NUMBER", value_parser = whole(0..=CORES - 1), conflicts_with_all = ["dump", "f32"])]
    core: Option<usize>,
    /// Stop here, too: a line of the kernel's source, or, with --tier package, of the C++; may be given several times
    #[arg(long = "break", value_name = "FILE:LINE", conflicts_with_all = ["dump", "f32"])]
    breaks: Vec<String>,
    /// The debugger; `none` prints its command [default: the first that is installed]
    #[arg(long, value_enum, conflicts_with_all = ["dump", "f32"])]
    debugger: Option<Debugger>,
    /// Write the launch to .vscode/launch.json, for its extensions of LLDB and of C/C++, instead of starting a debugger
    #[arg(long, conflicts_with_all = ["dump", "f32", "debugger", "options"])]
    vscode: bool,
    /// Record the launch, and write all that it did to this folder
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,
    /// Compare with the same launch in f32
    #[arg(long, conflicts_with = "dump")]
    f32: bool,
    /// Options of the debugger
    #[arg(last = true, value_name = "OPTIONS", conflicts_with_all = ["dump", "f32"])]
    options: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ElementType {
    F32,
    Bf16,
    F16,
}

/// The launch to look into.
struct Launch {
    op: Op,
    operands: Operands,
    setting: Setting,
    /// What was found with it, of a replay file.
    finding: Option<String>,
}

impl Debug {
    /// Runs it; a debugger takes this process's place.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let replay = self.replay.as_deref().map(read).transpose()?;
        let library = match &replay {
            Some(replay) => self.selection.find_of(&replay.library)?,
            None => self.selection.find()?,
        };
        let tier = self.tier.or_else(|| Some(launched(replay.as_ref()?).tier)).unwrap_or(Tier::Native);
        if self.dump.is_some() || self.f32 {
            let libraries = Libraries::build(&library, &[tier])?;
            let launch = self.launch(libraries.native(), replay.as_ref(), tier)?;
            return match &self.dump {
                Some(folder) => dump::write(&library, libraries, &launch, folder),
                None => wider::compare(libraries, &launch),
            };
        }
        ensure!(
            tier != Tier::Isa,
            "a debugger shows the native and the package tier: give --tier native or --tier package; --dump takes isa, too"
        );
        let session = self.session(&library, replay.as_ref(), tier)?;
        if self.vscode {
            return vscode::write(&session, library.workspace().root());
        }
        let debugger = self.debugger.map_or_else(Debugger::installed, Ok)?;
        let mut command = session.command(debugger, &self.options);
        if debugger == Debugger::None {
            println!("{}", session.shown());
            return Ok(());
        }
        Err(process::become_it(&mut command))
    }

    /// The launch, of the op in `library`.
    fn launch(&self, library: &OpLibrary, replay: Option<&Replay>, tier: Tier) -> anyhow::Result<Launch> {
        let Some(replay) = replay else {
            let name = self.op.as_deref().context("clap asks for it")?;
            let op = library.op(name)?;
            verify_given(std::slice::from_ref(&op), &self.shape, &self.scalar)?;
            let setting = Setting { tier, ..Setting::REFERENCE };
            if let Some(file) = &self.operands {
                let operands = operands_of(&op, operands_in(file, op.descriptor())?, &self.scalar)?;
                return Ok(Launch { op, operands, setting, finding: None });
            }
            let dtype = match self.dtype {
                None | Some(ElementType::F32) => DType::F32,
                Some(ElementType::Bf16) => DType::Bf16,
                Some(ElementType::F16) => DType::F16,
            };
            let given = [&self.shape[..], &self.scalar[..]].concat();
            let operands = operands(library.name(), &op, &given, dtype)?;
            return Ok(Launch { op, operands, setting, finding: None });
        };
        if let Some(op) = self.op.as_deref().filter(|op| **op != replay.op) {
            bail!("the replay file is of op `{}`, not of `{op}`: leave the name out", replay.op);
        }
        let operands = replay.operands(library)?;
        let finding = Some(replay.finding.clone()).filter(|finding| !finding.is_empty());
        Ok(Launch {
            op: library.op(&replay.op)?,
            operands,
            setting: Setting { tier, ..launched(replay).clone() },
            finding,
        })
    }

    /// Builds what a debugger needs.
    fn session(&self, library: &OpCrate, replay: Option<&Replay>, tier: Tier) -> anyhow::Result<Session> {
        let (file, package) = if tier == Tier::Package {
            let (file, built) = crate::build::debug_package(library)?;
            (file, Some(built.folder))
        } else {
            (crate::build::debug_library(library)?, None)
        };
        let loaded = OpLibrary::load(&file)?;
        let mut launch = self.launch(&loaded, replay, tier)?;
        let cores = launch.setting.cores;
        if let Some(core) = self.core {
            ensure!(core < cores, "--core {core}: the launch has {cores} cores, numbered from 0");
        }
        launch.setting.threads = 1;
        let mut replay = Replay::new(loaded.descriptor(), launch.op.descriptor(), &launch.operands);
        replay.settings = vec![launch.setting.clone()];
        replay.finding = launch.finding.clone().unwrap_or_default();
        let folder = library.workspace().artifacts().join(loaded.name()).join("debug");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Named by what is in it: another session of the op, in another terminal, has a file of its own.
        let bytes = replay.to_bytes()?;
        let digest = format!("{:x}", Sha256::digest(&bytes));
        let launched = folder.join(format!("{}-{}.safetensors", launch.op.name(), &digest[..16]));
        files::replace(&launched, |file| file.write_all(&bytes))?;
        let mut breakpoints = match &package {
            Some(folder) => breakpoints::of_package(folder, &launch.op)?,
            None => breakpoints::of_native(&file, &launch.op)?,
        };
        for line in &self.breaks {
            let folders =
                [Some(Path::new(".")), Some(library.folder()), Some(library.workspace().root()), package.as_deref()];
            breakpoints.push(breakpoints::at(line, &folders.into_iter().flatten().collect::<Vec<_>>())?);
        }
        Ok(Session {
            name: format!("{} ({tier})", launch.op.name()),
            program: std::env::current_exe().context("cannot find this program")?,
            library: file,
            launch: launched,
            breakpoints,
            core: self.core,
        })
    }
}

/// The launch that was wrong; the one before is what it was compared with.
fn launched(replay: &Replay) -> &Setting {
    replay.settings.last().unwrap_or(&Setting::REFERENCE)
}

fn read(file: &Path) -> anyhow::Result<Replay> {
    Replay::read(file).with_context(|| format!("cannot replay {}", shown_path(file)))
}
