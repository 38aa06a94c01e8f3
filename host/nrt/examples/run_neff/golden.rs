//! Two ops of a BERT layer in one emulated NEFF, on the golden files.

use std::path::Path;

use anyhow::{Context, ensure};
use gpsimd_emulator::{DType, Engine, Op, OpLibrary, Scalar, Tensor, TensorType, bf16};
use gpsimd_neff::{Call, Graph, GraphLibrary, NeffBuilder, NeffDType, TensorSpec};
use gpsimd_nrt::{Error, Model, NrtError, Placement, Runtime, Status, TensorSet};
use gpsimd_tests::GoldenCase;
use serde_json::Value;

pub(crate) const OPS: [&str; 2] = ["bias_gelu_forward", "masked_softmax_forward"];
const LIBRARY_FILE: &str = "libbert_ops.so";
/// By how many units of the last place more than `PyTorch`'s own ops a result may err, as in the tests of the ops.
const MARGIN: f64 = 1.0;

/// Runs every golden case of both ops, two in one model, and prints how exact the results are.
pub(crate) fn run(runtime: &Runtime, ops: &Path, core: Option<u32>) -> anyhow::Result<()> {
    let library = OpLibrary::load(ops)?;
    let content = std::fs::read(ops).with_context(|| format!("cannot read {}", ops.display()))?;
    let ops = OPS.map(|name| library.op(name)).into_iter().collect::<Result<Vec<_>, _>>()?;
    let cases: Vec<Vec<GoldenCase>> = ops.iter().map(GoldenCase::all).collect();
    let models = cases.iter().map(Vec::len).max().unwrap_or(0);
    let mut rows: Vec<Row> = ops.iter().map(|op| Row { op: op.name().to_owned(), ..Row::default() }).collect();
    let engine = Engine::builder().build()?;
    let mut with_numerical_errors = 0;
    for i in 0..models {
        // The op with fewer cases comes round again.
        let parts: Vec<Part<'_>> =
            ops.iter().zip(&cases).map(|(op, cases)| Part { op, case: &cases[i % cases.len()] }).collect();
        let (results, is_numerical_error) = execute(runtime, core, library.name(), &content, &parts)?;
        with_numerical_errors += usize::from(is_numerical_error);
        for ((row, part), result) in rows.iter_mut().zip(&parts).zip(&results) {
            row.add(part, result)?;
            let direct = engine.call(part.op, &part.case.views(), &part.case.scalars)?;
            let same = direct.bytes() == result.bytes();
            ensure!(same, "{}, {}: the op launched without libnrt gives other bits", row.op, part.case.name);
        }
    }
    println!(
        "executed  {models} models of 2 ops each; {with_numerical_errors} gave NaN where no input has it, as the golden files do\n"
    );
    println!("{:<24}{:>8}{:>12}{:>18}{:>18}", "op", "runs", "elements", "worst error", "PyTorch's worst");
    for row in &rows {
        println!(
            "{:<24}{:>8}{:>12}{:>14.2} ulp{:>14.2} ulp",
            row.op, row.runs, row.elements, row.worst, row.pytorch_worst
        );
    }
    println!(
        "\nevery result has the bits of the op launched without libnrt, and errs by no more than PyTorch's and {MARGIN} ulp"
    );
    Ok(())
}

/// An op on the tensors of a golden case.
pub(crate) struct Part<'a> {
    pub(crate) op: &'a Op,
    pub(crate) case: &'a GoldenCase,
}

impl Part<'_> {
    /// Operands by their names in the model: those of the op, after its own name.
    fn operands(&self) -> impl Iterator<Item = (String, &Tensor)> {
        let names = self.op.descriptor().tensors().map(|(name, _)| format!("{}/{name}", self.op.name()));
        names.zip(&self.case.operands)
    }

    pub(crate) fn output(&self) -> String {
        format!("{}/result", self.op.name())
    }

    /// Of the result: both ops give what is like their first operand.
    fn result_type(&self) -> TensorType {
        self.case.operands[0].ty()
    }
}

/// What is known of the results of an op.
#[derive(Default)]
struct Row {
    op: String,
    runs: usize,
    elements: usize,
    worst: f64,
    pytorch_worst: f64,
}

impl Row {
    fn add(&mut self, part: &Part<'_>, result: &Tensor) -> anyhow::Result<()> {
        let expected = part.case.results.first().context("an op has a result")?;
        let (error, theirs) = (expected.error_of(result), expected.pytorch_error().unwrap_or_default());
        ensure!(
            error <= theirs + MARGIN,
            "{}, {}: the result is {error:.2} ulp from the golden file's, PyTorch's is {theirs:.2}",
            self.op,
            part.case.name
        );
        self.runs += 1;
        self.elements += result.ty().len();
        self.worst = self.worst.max(error);
        self.pytorch_worst = self.pytorch_worst.max(theirs);
        Ok(())
    }
}

/// A NEFF of the parts.
pub(crate) fn neff(library: &str, content: &[u8], parts: &[Part<'_>]) -> anyhow::Result<Vec<u8>> {
    Ok(NeffBuilder::new("bert_layer", graph(library, parts)?).library(LIBRARY_FILE, content).build()?)
}

/// A model with the tensors that it is executed on.
pub(crate) struct Loaded {
    pub(crate) model: Model,
    pub(crate) inputs: TensorSet,
    pub(crate) outputs: TensorSet,
}

impl Loaded {
    /// Loads a NEFF of `parts`, with their operands in its inputs.
    pub(crate) fn new(runtime: &Runtime, core: Option<u32>, neff: Vec<u8>, parts: &[Part<'_>]) -> anyhow::Result<Self> {
        let model = Model::load(runtime, neff, core)?;
        let (mut inputs, mut outputs) = (TensorSet::new(runtime)?, TensorSet::new(runtime)?);
        let place = Placement::Device(core.unwrap_or(0));
        for info in model.inputs() {
            inputs.insert(&info.name, &gpsimd_nrt::NrtTensor::for_info(runtime, place, info)?)?;
        }
        for info in model.outputs() {
            outputs.insert(&info.name, &gpsimd_nrt::NrtTensor::for_info(runtime, place, info)?)?;
        }
        for (name, operand) in parts.iter().flat_map(Part::operands) {
            inputs
                .get(&name)
                .with_context(|| format!("the model has no input `{name}`"))?
                .write_bytes(operand.bytes())?;
        }
        Ok(Self { model, inputs, outputs })
    }
}

/// Executes it; whether the runtime says that it completed with numerical errors.
pub(crate) fn execute_once(model: &Model, inputs: &TensorSet, outputs: &mut TensorSet) -> anyhow::Result<bool> {
    match model.execute(inputs, outputs) {
        Ok(()) => Ok(false),
        Err(Error::Call(NrtError { status: Status::ExecCompletedWithNumErr, .. })) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Makes a NEFF of the parts, loads and executes it, and returns a result for each, and whether the runtime says that it
/// completed with numerical errors. Then the results are written, too; the golden files say which are to be NaN.
fn execute(
    runtime: &Runtime,
    core: Option<u32>,
    library: &str,
    content: &[u8],
    parts: &[Part<'_>],
) -> anyhow::Result<(Vec<Tensor>, bool)> {
    let Loaded { model, inputs, mut outputs } = Loaded::new(runtime, core, neff(library, content, parts)?, parts)?;
    let is_numerical_error = execute_once(&model, &inputs, &mut outputs)?;
    let result = |part: &Part<'_>| {
        let name = part.output();
        let tensor = outputs.get(&name).with_context(|| format!("the model has no output `{name}`"))?;
        let mut result = Tensor::zeros(part.result_type());
        match result.ty().dtype() {
            DType::Bf16 => tensor.read(0, result.as_mut_slice::<bf16>()?)?,
            _ => tensor.read(0, result.as_mut_slice::<f32>()?)?,
        }
        Ok(result)
    };
    Ok((parts.iter().map(result).collect::<anyhow::Result<_>>()?, is_numerical_error))
}

fn graph(library: &str, parts: &[Part<'_>]) -> anyhow::Result<Graph> {
    let mut graph = Graph {
        version: Graph::VERSION,
        inputs: Vec::new(),
        outputs: Vec::new(),
        intermediates: Vec::new(),
        libraries: vec![GraphLibrary { name: library.to_owned(), file: LIBRARY_FILE.to_owned() }],
        calls: Vec::new(),
    };
    for part in parts {
        for (name, operand) in part.operands() {
            graph.inputs.push(spec(name, operand.ty())?);
        }
        graph.outputs.push(spec(part.output(), part.result_type())?);
        graph.calls.push(Call {
            op: format!("{library}.{}", part.op.name()),
            tensors: part.operands().map(|(name, _)| name).collect(),
            scalars: part.case.scalars.iter().map(|scalar| json(*scalar)).collect(),
            outputs: vec![part.output()],
        });
    }
    Ok(graph)
}

fn json(scalar: Scalar) -> Value {
    match scalar {
        Scalar::F32(value) => value.into(),
        Scalar::I32(value) => value.into(),
        Scalar::U32(value) => value.into(),
        Scalar::Bool(value) => value.into(),
        Scalar::Size(value) => value.into(),
    }
}

fn spec(name: String, ty: TensorType) -> anyhow::Result<TensorSpec> {
    let dtype = NeffDType::ALL.into_iter().find(|dtype| dtype.op_dtype() == Some(ty.dtype()));
    let dtype = dtype.with_context(|| format!("`{name}` is {}, which no NEFF holds", ty.dtype().name()))?;
    let shape = ty.shape().iter().map(|&size| u32::try_from(size)).collect::<Result<_, _>>()?;
    Ok(TensorSpec { name, dtype, shape })
}
