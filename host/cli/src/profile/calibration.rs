//! The cost model beside the only speeds that the vendor has published.

use std::fmt::Write as _;

use gpsimd_emulator::cost::CostModel;
use gpsimd_emulator::{Engine, Launch, Mode, OpLibrary, Tensor, TensorView};

use super::constants::Constants;
use super::counting::{self, Counting, Vectors};
use crate::generated::generate;
use crate::normal::normal;
use crate::sdk_source::SdkSource;
use crate::table::{lines, table};
use crate::workspace::{OpCrate, Workspace};

/// Iterations per second of the tutorial's whole model, which calls `relu` twice (`customop-mlp-perf-opt`).
const PUBLISHED: [(&str, &str, f64); 3] = [
    ("element-wise accessor, one core", "relu_elements", 8.10),
    ("TCM accessor, 1024 elements, one core", "relu_tiles_one_core", 220.74),
    ("TCM accessor, 1024 elements, 8 cores", "relu_tiles", 269.94),
];

/// Elements of the two calls: batch 32 of 4096 and of 2048.
pub(crate) const CALLS: [usize; 2] = [131_072, 65_536];

/// A version of the tutorial's `relu`.
#[derive(Debug)]
pub(super) struct Row {
    version: &'static str,
    published: f64,
    /// Iterations per second that the model says.
    predicted: f64,
    /// Seconds of the two calls that the model says.
    seconds: f64,
}

/// Seconds of the rest of the tutorial's model, an iteration: fitted, as the fixed cost of a DMA is, to have the least relative errors.
const REST: f64 = 3.48e-3;

/// Counts the kernels and predicts the tutorial's speeds. No loop is taken for vectors: the tutorial names no flags, and the
/// vendor's are `-Os`.
pub(super) fn calibrate(model: &CostModel, counting: &Counting) -> anyhow::Result<[Row; PUBLISHED.len()]> {
    let rows = PUBLISHED
        .iter()
        .map(|&(version, op, published)| {
            let seconds = CALLS.iter().map(|len| launch(&counting.library, op, *len, model));
            let seconds = seconds.sum::<anyhow::Result<f64>>()?;
            Ok(Row { version, published, predicted: 1.0 / (REST + seconds), seconds })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(rows.try_into().unwrap_or_else(|_| unreachable!("a row for each")))
}

/// The tutorial's kernels, which count.
pub(super) fn kernels(workspace: &Workspace) -> anyhow::Result<Counting> {
    counting::build(&relu(workspace)?, Vectors::None)
}

/// The tutorial's kernels as a crate, written to the build folder.
pub(crate) fn relu(workspace: &Workspace) -> anyhow::Result<OpCrate> {
    let manifest = format!(
        r#"# Written by `cargo gpsimd profile --calibration`.
[package]
name = "relu-ops"
version = "0.0.0"
edition = "2024"
publish = false

[lib]
crate-type = ["cdylib", "rlib"]

[dependencies]
gpsimd = {}

[workspace]
"#,
        SdkSource::of(workspace)?.dependency("gpsimd")?
    );
    let files = [("Cargo.toml", manifest.as_str()), ("src/lib.rs", include_str!("relu.rs"))];
    let folder = generate(workspace, "calibration", &files)?;
    Ok(OpCrate::at(&folder)?.built_in(workspace))
}

fn launch(library: &OpLibrary, op: &str, len: usize, model: &CostModel) -> anyhow::Result<f64> {
    let engine = Engine::builder().mode(Mode::Fast).direct(false).build()?;
    let x = Tensor::from_vec(normal(1, len), &[len])?;
    let mut y = Tensor::zeros(x.ty());
    let tensors: [TensorView<'_>; 1] = [x.view()];
    let report =
        engine.launch(&library.op(op)?, Launch { tensors: &tensors, scalars: &[], outputs: vec![y.view_mut()] })?;
    Ok(model.seconds(&report))
}

/// The constants, and the table.
pub(super) fn show(constants: &Constants, rows: &[Row; PUBLISHED.len()]) -> String {
    let mut text = constants.to_string();
    text += "\npublished speeds (customop-mlp-perf-opt: an MLP on a Trn1, two ReLU of 131072 and 65536 elements)\n\n";
    let mut table = table(&["version of ReLU", "published", "predicted", "residual", "of it ReLU"], 1);
    for row in rows {
        table.add_row([
            row.version.to_owned(),
            format!("{:.2} it/s", row.published),
            format!("{:.2} it/s", row.predicted),
            format!("{:+.1}%", 100.0 * (row.predicted / row.published - 1.0)),
            format!("{:.3} ms", row.seconds * 1e3),
        ]);
    }
    text += &lines(&table);
    let _ = writeln!(text, "\nthe rest of the MLP is fitted, {} ms an iteration", REST * 1e3);
    for ratio in ratios(rows) {
        let Ratio { what, published, predicted } = ratio;
        let residual = 100.0 * ratio.residual();
        let _ = writeln!(text, "{what}: published {published:.3}x, predicted {predicted:.3}x, {residual:+.1}%");
    }
    text
}

/// How much faster a version is than another.
pub(super) struct Ratio {
    pub(super) what: &'static str,
    published: f64,
    predicted: f64,
}

impl Ratio {
    pub(super) fn residual(&self) -> f64 {
        self.predicted / self.published - 1.0
    }
}

/// What the published speeds say about TCM, and about 8 cores.
pub(super) fn ratios(rows: &[Row; PUBLISHED.len()]) -> impl Iterator<Item = Ratio> {
    let [element, one_core, all_cores] = rows;
    let ratio = |what, from: &Row, to: &Row| Ratio {
        what,
        published: to.published / from.published,
        predicted: to.predicted / from.predicted,
    };
    [ratio("accessor to TCM", element, one_core), ratio("one core to 8", one_core, all_cores)].into_iter()
}
