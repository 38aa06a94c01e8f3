//! `cargo gpsimd profile`: what ops would cost on the device, by the cost model, and why.

mod advice;
pub(crate) mod calibration;
mod comparison;
mod constants;
pub(crate) mod counting;
mod measured;
pub(crate) mod operands;
mod roofline;
mod table;
#[cfg(test)]
mod tests;
mod timeline;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use gpsimd_emulator::cost::CostModel;
use gpsimd_emulator::{DType, LaunchReport, Op};
use serde::{Deserialize, Serialize};

use crate::bring_up::report::Report;
use crate::build::cpp::{CompilerOptions, Cpp};
use crate::process;
use crate::workspace::{Selection, Workspace};
use constants::Constants;
use counting::Vectors;
use measured::Measured;
use operands::{Given, operands, verify_given};

/// Estimate what ops cost on the device: time, what it is spent on, how far from the limits, and what to do.
///
/// Nothing here runs on a Trainium. The op package's kernels run on this CPU, counting every operation and every DMA, and a
/// cost model turns the counts into time. The counts are exact; the model's constants are the vendor's documentation, a fit to
/// the only speeds it has published, and two assumptions: --calibration shows them and how well they fit. The book's page
/// "The cost model" says how far off they may be.
///
/// With --cpp the ops are C++ sources for the vendor's API, and --shape FILE is where their shape functions are. What they compute
/// is not counted: their times are those of DMAs alone.
///
/// Without --shape the ops of `bert_ops` run on BERT-base with batch 8 and 128 tokens. Besides the table there are two pictures
/// in the folder of the op library: roofline.svg, and a timeline of the 8 cores for each op, which
/// <https://ui.perfetto.dev> opens.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo gpsimd profile\n\
\x20 cargo gpsimd profile --op bias_gelu_forward --shape x=8x128x768 --shape bias=768 --dtype bf16\n\
\x20 cargo gpsimd profile --op my_op --shape x=64x512 --scalar factor=2.5 --scalar k=8\n\
\x20 cargo gpsimd profile --cpp relu.cpp --shape shape.cpp --shape arg0=1048576
\x20 cargo gpsimd profile --json before.json         # then change the kernel, and\n\
\x20 cargo gpsimd profile --compare before.json\n\
\x20 cargo gpsimd profile --calibration\n\
\x20 cargo gpsimd profile --calibration report.json   # with the constants that a bring-up measured")]
pub struct Profile {
    #[command(flatten)]
    selection: Selection,
    /// C++ source of kernel functions, instead of a crate; may be given several times
    #[arg(long, value_name = "FILE", requires = "shape", conflicts_with_all = ["package", "manifest_path", "calibration"])]
    cpp: Vec<PathBuf>,
    /// Run the --cpp ops on the first core alone, as without `multicore=True`
    #[arg(long, requires = "cpp")]
    single_core: bool,
    #[command(flatten)]
    compiler: CompilerOptions,
    /// Only this op; may be given several times
    #[arg(long, value_name = "NAME")]
    op: Vec<String>,
    /// Shape of a tensor operand, with `:i32` and the like of an op that takes any element type; a source of shape functions of
    /// --cpp ops; may be given several times
    #[arg(long, value_name = "OPERAND=8x128x3072|FILE")]
    shape: Vec<Shape>,
    /// Value of a scalar or size: a number, an integer or `true`, of the type that the op takes [default: 1, or true]; may be given
    /// several times
    #[arg(long, value_name = "OPERAND=NUMBER|BOOL")]
    scalar: Vec<Given>,
    /// Element type of the generic operands
    #[arg(long, value_enum, default_value = "f32")]
    dtype: ElementType,
    /// Folder for the pictures [default: target/gpsimd/<library>/profile]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also write everything to FILE, as JSON; - is standard output, without the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare with an earlier --json FILE
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Show the model's constants, and the published speeds beside what the model says of the same kernels; with the
    /// report.json of `cargo gpsimd bring-up`, the constants that its times determine
    #[arg(long, value_name = "REPORT", num_args = 0..=1, conflicts_with_all = ["op", "json", "compare", "out"])]
    #[expect(clippy::option_option, reason = "an option whose value may be left out")]
    calibration: Option<Option<PathBuf>>,
}

/// What --shape is given for.
#[derive(Clone)]
enum Shape {
    Operand(Given),
    Source(PathBuf),
}

impl std::str::FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(if text.contains('=') { Self::Operand(text.parse()?) } else { Self::Source(text.into()) })
    }
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum ElementType {
    F32,
    Bf16,
}

/// What `--json` writes.
#[derive(Serialize, Deserialize)]
struct Profiled {
    library: String,
    /// Seconds, bytes and operations of every op.
    ops: Vec<Measured>,
}

impl Profile {
    /// Measures the ops and prints the table.
    ///
    /// # Errors
    /// When the library does not build, or an op fails.
    pub fn run(self) -> anyhow::Result<()> {
        let model = CostModel::default();
        if let Some(report) = &self.calibration {
            let constants = match report {
                Some(file) => Constants::measured(&Report::read(file)?, &model)?,
                None => Constants::of(&model),
            };
            let rows = calibration::calibrate(&constants.model, &calibration::kernels(&Workspace::here()?)?)?;
            print!("{}", calibration::show(&constants, &rows));
            return Ok(());
        }
        let before = self.compare.as_deref().map(read).transpose()?;
        let (mut given, mut shapes) = (Vec::new(), Vec::new());
        for shape in self.shape {
            match shape {
                Shape::Operand(operand) => given.push(operand),
                Shape::Source(source) => shapes.push(source),
            }
        }
        let (counting, workspace) = if self.cpp.is_empty() {
            if let Some(text) = shapes.first() {
                bail!("--shape {}: expected OPERAND=SHAPE, such as x=8x128x3072", text.display());
            }
            let library = self.selection.find()?;
            (counting::build(&library, Vectors::Compiler)?, library.workspace().clone())
        } else {
            let workspace = Workspace::here()?;
            let (sources, is_multicore) = (&self.cpp, !self.single_core);
            let cpp = Cpp { sources, shapes: &shapes, is_multicore, compiler: &self.compiler };
            (counting::of_cpp(&cpp, &workspace)?, workspace)
        };
        let library = counting.library.name().to_owned();
        for name in &self.op {
            counting.library.op(name)?;
        }
        let dtype = if self.dtype == ElementType::Bf16 { DType::Bf16 } else { DType::F32 };
        let mut profiled = Profiled { library: library.clone(), ops: Vec::new() };
        let mut reports = Vec::new();
        let is_chosen = |op: &Op| self.op.is_empty() || self.op.iter().any(|name| name == op.name());
        let ops: Vec<_> = counting.library.ops().filter(is_chosen).collect();
        verify_given(&ops, &given, &self.scalar)?;
        given.extend(self.scalar);
        for op in ops {
            let operands = operands(&library, &op, &given, dtype)?;
            let missed = counting.missed.iter().find(|(name, _)| name == op.name()).map_or(0, |(_, missed)| *missed);
            let (measured, report) = Measured::launch(&op, &operands, &counting.tile_buffers, missed, &model)?;
            profiled.ops.push(measured);
            reports.push((op, report));
        }

        let to_stdout = self.json.as_deref() == Some(Path::new("-"));
        if !to_stdout {
            println!("{}", table::show(&profiled.ops, &model));
            if let Some(before) = &before {
                println!("{}", comparison::show(&before.ops, &profiled.ops));
            }
        }
        let folder = self.out.unwrap_or_else(|| workspace.artifacts().join(&library).join("profile"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut written = vec![folder.join("roofline.svg")];
        save(&written[0], &roofline::draw(&model, &profiled.ops)?)?;
        for (op, report) in &reports {
            let file = folder.join(format!("{}.trace.json", op.name()));
            save(&file, &timeline(op, report, &model)?)?;
            written.push(file);
        }
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&profiled)? + "\n";
            if to_stdout {
                print!("{text}");
            } else {
                save(file, &text)?;
                written.push(file.clone());
            }
        }
        for file in written {
            eprintln!("wrote {}", process::shown_path(&file));
        }
        Ok(())
    }
}

fn timeline(op: &Op, report: &LaunchReport, model: &CostModel) -> anyhow::Result<String> {
    Ok(serde_json::to_string(&timeline::Timeline::of(op, report, model))?)
}

fn read(file: &Path) -> anyhow::Result<Profiled> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what `cargo gpsimd profile --json` writes", file.display()))
}

fn save(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
