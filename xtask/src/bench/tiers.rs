//! The package tier against the native tier.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use gpsimd_emulator::{Engine, Launch, Mode, Op, OpLibrary, Scalar, Tensor, TensorView};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::workspace;
use cargo_gpsimd::table::{lines, table};
use cargo_gpsimd::{build, normal};

/// The package's time over the native library's with copies that is aimed at.
const AIM: f64 = 1.3;

/// An op of the package, measured.
#[derive(Serialize)]
struct Row {
    op: &'static str,
    shape: String,
    /// Medians, in milliseconds.
    native_ms: f64,
    native_copies_ms: f64,
    package_ms: f64,
    /// Medians of the ratios within a round.
    copies_to_native: f64,
    package_to_copies: f64,
    package_to_native: f64,
    /// Of the fastest round of each: what the medians would be on a machine with nothing else to do.
    native_best_ms: f64,
    native_copies_best_ms: f64,
    package_best_ms: f64,
}

/// Builds both tiers, measures the ops called `names` (all if there are none), prints the table, and writes it to `json`.
pub(super) fn measure(names: &[String], rounds: u32, threads: u32, json: Option<&Path>) -> anyhow::Result<()> {
    let known: Vec<_> = CASES.iter().map(|(op, _)| *op).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no op `{unknown}`; there are {}", known.join(", "));
    }
    let built = build::build(&workspace::op_crate("kernels/bert-ops")?, "native", None)?;
    let (native, package) = (OpLibrary::load(&built.native)?, OpLibrary::load(&built.package)?);
    let engine = |direct| Engine::builder().mode(Mode::Fast).threads(threads as usize).direct(direct).build();
    let (direct, copying) = (engine(true)?, engine(false)?);

    let mut rows = Vec::new();
    for (op, case) in CASES.iter().filter(|(op, _)| names.is_empty() || names.iter().any(|name| name == op)) {
        let bar = progress(op, rounds);
        let [native, package] = [native.op(op)?, package.op(op)?];
        // The package copies whatever the engine lets it do; it runs on the one that native ops copy on.
        let contenders = [(&direct, &native), (&copying, &native), (&copying, &package)];
        let mut case = case();
        case.allocate_outputs(contenders[0].1)?;
        rows.push(measure_op(op, &mut case, contenders, rounds, &bar)?);
        bar.finish_and_clear();
    }

    println!("{threads} threads, f32, median of {rounds} rounds; package: {}", built.compiler());
    print(&rows);
    if let Some(file) = json {
        let result = serde_json::json!({
            "compiler": built.compiler(), "threads": threads, "rounds": rounds, "aim": AIM, "rows": rows,
        });
        fs::write(file, serde_json::to_string_pretty(&result)? + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Operands of an op.
struct Case {
    tensors: Vec<Tensor>,
    scalars: Vec<Scalar>,
    /// Where the results go, of what types the op's shape function says; in place, its operand in place of the first.
    outputs: Vec<Tensor>,
    in_place: bool,
}

type MakeCase = fn() -> Case;

/// The shapes of `gpsimd_torch.bench`: BERT-base with batch 8 and sequence 128; AdamW on 22 million parameters, in place.
const CASES: [(&str, MakeCase); 9] = [
    ("bias_gelu_forward", || Case::apart(vec![numbers(1, &[8, 128, 3072]), numbers(2, &[3072])], &[])),
    ("bias_gelu_backward", || {
        let x = &[8, 128, 3072];
        Case::apart(vec![numbers(3, x), numbers(1, x), numbers(2, &[3072])], &[])
    }),
    ("masked_softmax_forward", || {
        // The last 28 keys are padding.
        let mask = (0..8 * 128).map(|i| if i % 128 < 100 { 0.0 } else { f32::MIN }).collect();
        Case::apart(vec![numbers(4, &[8, 12, 128, 128]), tensor(mask, &[8, 1, 1, 128])], &[Scalar::F32(0.125)])
    }),
    ("masked_softmax_backward", || {
        let scores = &[8, 12, 128, 128];
        // What a softmax gives is positive, here about as large as with 128 keys.
        Case::apart(vec![numbers(4, scores), positive(5, scores, 1.0 / 128.0)], &[Scalar::F32(0.125)])
    }),
    ("layer_norm_forward", || {
        Case::apart(vec![numbers(7, &[8, 128, 768]), numbers(8, &[768]), numbers(9, &[768])], &[Scalar::F32(1e-12)])
    }),
    // Both phases.
    ("layer_norm_backward", || {
        let (x, rows) = (&[8, 128, 768], &[8, 128]);
        let (mean, rstd) = (numbers(11, rows), positive(12, rows, 1.0));
        Case::apart(vec![numbers(10, x), numbers(7, x), numbers(8, &[768]), mean, rstd], &[])
    }),
    ("cross_entropy_forward", || {
        Case::apart(vec![numbers(13, &[256, 30522]), labels()], &[Scalar::I32(-100), Scalar::F32(0.1)])
    }),
    ("cross_entropy_backward", || {
        let (dloss, lse) = (numbers(14, &[256]), positive(15, &[256], 12.0));
        Case::apart(vec![dloss, numbers(13, &[256, 30522]), labels(), lse], &[Scalar::I32(-100), Scalar::F32(0.1)])
    }),
    ("adamw_step", || {
        let len = 22_000_000;
        let tensors = vec![tensor(vec![0.0; 3 * len], &[3, len]), numbers(6, &[len])];
        let scalars = [1e-4, 0.9, 0.999, 1e-8, 0.01, 1.0].map(Scalar::F32);
        Case { in_place: true, ..Case::apart(tensors, &scalars) }
    }),
];

impl Case {
    /// An op whose outputs are in memory of their own.
    fn apart(tensors: Vec<Tensor>, scalars: &[Scalar]) -> Self {
        Self { tensors, scalars: scalars.to_vec(), outputs: Vec::new(), in_place: false }
    }

    /// Outputs of the types that `op` says. In place, the first operand, which it replaces, becomes the first of them.
    fn allocate_outputs(&mut self, op: &Op) -> anyhow::Result<()> {
        let types: Vec<_> = self.tensors.iter().map(|tensor| tensor.view().ty()).collect();
        self.outputs = op.shape(&types, &[])?.into_iter().map(Tensor::zeros).collect();
        if self.in_place {
            self.outputs[0] = self.tensors.remove(0);
        }
        Ok(())
    }

    /// Launches an op and returns the time that it takes.
    fn time(&mut self, engine: &Engine, op: &Op) -> anyhow::Result<Duration> {
        let tensors: Vec<TensorView<'_>> = self.tensors.iter().map(Tensor::view).collect();
        let launch = Launch {
            tensors: &tensors,
            scalars: &self.scalars,
            outputs: self.outputs.iter_mut().map(Tensor::view_mut).collect(),
        };
        let start = Instant::now();
        if self.in_place {
            engine.launch_in_place(op, launch)?
        } else {
            engine.launch(op, launch)?
        };
        Ok(start.elapsed())
    }
}

fn measure_op(
    name: &'static str,
    case: &mut Case,
    contenders: [(&Engine, &Op); 3],
    rounds: u32,
    bar: &ProgressBar,
) -> anyhow::Result<Row> {
    // Two launches each, from the same state: what is measured is warm, and has the same bits.
    let first: Vec<Vec<u8>> = case.outputs.iter().map(|output| output.bytes().to_vec()).collect();
    let mut expected: Option<Vec<Vec<u8>>> = None;
    for (engine, op) in contenders {
        for (output, first) in case.outputs.iter_mut().zip(&first) {
            output.bytes_mut().copy_from_slice(first);
        }
        for _ in 0..2 {
            case.time(engine, op)?;
        }
        let found = case.outputs.iter().map(|output| output.bytes().to_vec()).collect();
        match &expected {
            Some(expected) => ensure!(
                *expected == found,
                "op `{name}`: the tiers do not give the same bits; `cargo xtask test package` shows where"
            ),
            None => expected = Some(found),
        }
    }

    let mut times = Vec::new();
    for _ in 0..rounds {
        let mut round = [0.0; 3];
        for (time, (engine, op)) in round.iter_mut().zip(contenders) {
            *time = 1e3 * case.time(engine, op)?.as_secs_f64();
        }
        times.push(round);
        bar.inc(1);
    }
    let median_of = |value: &dyn Fn(&[f64; 3]) -> f64| median(times.iter().map(value).collect());
    let best_of = |contender: usize| times.iter().map(|round| round[contender]).fold(f64::INFINITY, f64::min);
    Ok(Row {
        op: name,
        shape: format!("{:?}", case.outputs[0].view().ty().shape()),
        native_ms: median_of(&|round| round[0]),
        native_copies_ms: median_of(&|round| round[1]),
        package_ms: median_of(&|round| round[2]),
        copies_to_native: median_of(&|round| round[1] / round[0]),
        package_to_copies: median_of(&|round| round[2] / round[1]),
        package_to_native: median_of(&|round| round[2] / round[0]),
        native_best_ms: best_of(0),
        native_copies_best_ms: best_of(1),
        package_best_ms: best_of(2),
    })
}

fn print(rows: &[Row]) {
    let header = [
        "op",
        "shape",
        "native ms",
        "with copies ms",
        "package ms",
        "copies/native",
        "package/copies",
        "package/native",
        "fastest only",
    ];
    let mut table = table(&header, 2);
    for row in rows {
        let ratio = |ratio: f64| format!("{ratio:.2}x");
        table.add_row([
            row.op.to_owned(),
            row.shape.clone(),
            format!("{:.2}", row.native_ms),
            format!("{:.2}", row.native_copies_ms),
            format!("{:.2}", row.package_ms),
            ratio(row.copies_to_native),
            ratio(row.package_to_copies),
            ratio(row.package_to_native),
            ratio(row.package_best_ms / row.native_best_ms),
        ]);
    }
    print!("{}", lines(&table));
    let slow: Vec<_> = rows.iter().filter(|row| row.package_to_copies > AIM).map(|row| row.op).collect();
    println!();
    println!("copies/native: what copying tiles to TCM and back costs; package/copies: what the generated C++ costs.");
    println!(
        "fastest only: package/native of the fastest round of each; far from the median, something else was running."
    );
    if slow.is_empty() {
        println!("The package is within the aim of {AIM}x of the native library with copies.");
    } else {
        println!("The aim for package/copies is {AIM}x; above it: {}.", slow.join(", "));
    }
}

fn progress(op: &'static str, rounds: u32) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} rounds, {eta} left").expect("a valid template");
    let bar = ProgressBar::new(u64::from(rounds)).with_style(style).with_message(op);
    bar.tick();
    bar
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    f64::midpoint(low, high)
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape).expect("as many values as the shape has")
}

fn positive(seed: u64, shape: &[usize], scale: f32) -> Tensor {
    tensor(normal::normal(seed, shape.iter().product()).into_iter().map(|x: f32| x.abs() * scale).collect(), shape)
}

fn labels() -> Tensor {
    Tensor::from_vec((0..256).map(|row| row * 119 % 30522).collect::<Vec<i32>>(), &[256]).expect("256 of them")
}

fn numbers(seed: u64, shape: &[usize]) -> Tensor {
    tensor(normal::normal(seed, shape.iter().product()), shape)
}
