//! [`Process`]: a Python that calls the reference of an op.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail, ensure};
use gpsimd_emulator::gpsimd_descriptor::OpDescriptor;
use gpsimd_emulator::{Scalar, Tensor};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::operands::Operands;

/// Most elements of what a reference returns: more than any op that is checked does.
const MOST: usize = 1 << 28;

/// How far an op may be from its reference.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub(super) struct Tolerance {
    /// Of the size of the element.
    pub(super) relative: f64,
    /// Of any.
    pub(super) absolute: f64,
}

/// A tensor that a reference returned.
#[derive(Debug, PartialEq)]
pub(super) struct Expected {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Numbers,
}

/// Its elements.
#[derive(Debug, PartialEq)]
pub(super) enum Numbers {
    Floats(Vec<f64>),
    Integers(Vec<i64>),
}

/// A Python that has the function; it ends when this is dropped.
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    function: String,
    /// What the function has as `tolerance`, a pair.
    pub(super) tolerance: Option<Tolerance>,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<String>,
    #[serde(default)]
    tolerance: Option<(f64, f64)>,
    #[serde(default)]
    outputs: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    float: bool,
    shape: Vec<usize>,
}

impl Process {
    /// Starts `python` and imports `function`, `module:function`, from one of the folders.
    ///
    /// # Errors
    /// When there is no such function, or importing it fails.
    pub(super) fn start(python: &Path, function: &str, folders: &[PathBuf]) -> anyhow::Result<Self> {
        let mut command = Command::new(python);
        command.args(["-c", include_str!("worker.py"), function]).args(folders);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {}", python.display()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("a pipe was asked for")?);
        let mut process = Self { child, input, output, function: function.to_owned(), tolerance: None };
        let answer = process.answer()?;
        process.tolerance = answer.tolerance.map(|(relative, absolute)| Tolerance { relative, absolute });
        Ok(process)
    }

    /// What the function returns for these operands of `op`.
    ///
    /// # Errors
    /// When it raises an exception.
    pub(super) fn call(&mut self, op: &OpDescriptor, operands: &Operands) -> anyhow::Result<Vec<Expected>> {
        let (mut tensors, mut scalars) = (operands.tensors.iter(), operands.scalars.iter());
        let mut described = Vec::new();
        for operand in &op.operands {
            described.push(if operand.kind.is_tensor() {
                let ty = tensors.next().context("a tensor is missing")?.ty();
                json!({ "dtype": ty.dtype().name(), "shape": ty.shape() })
            } else {
                json!({ "number": number(*scalars.next().context("a scalar is missing")?) })
            });
        }
        let mut message = serde_json::to_vec(&described)?;
        message.push(b'\n');
        operands.tensors.iter().map(Tensor::bytes).for_each(|bytes| message.extend_from_slice(bytes));
        let input = self.input.as_mut().context("the process has ended")?;
        // One that has ended says why when its answer is read.
        let _ = input.write_all(&message).and_then(|()| input.flush());
        let answer = self.answer()?;
        answer.outputs.into_iter().map(|described| self.tensor(described)).collect()
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.is_empty() {
            let status = self.child.wait()?;
            bail!("Python ended while it called the reference `{}`: {status}; what it said is above", self.function);
        }
        let answer: Answer = serde_json::from_str(&line).context("Python answered something else")?;
        if let Some(error) = answer.error {
            bail!("the reference `{}` failed:\n{}", self.function, error.trim_end());
        }
        Ok(answer)
    }

    fn tensor(&mut self, described: Described) -> anyhow::Result<Expected> {
        let Described { float, shape } = described;
        let len = shape.iter().try_fold(1_usize, |len, size| len.checked_mul(*size)).filter(|len| *len <= MOST);
        let len = len.with_context(|| format!("the reference `{}` returned a tensor of {shape:?}", self.function))?;
        let mut bytes = vec![0; len * size_of::<u64>()];
        self.output.read_exact(&mut bytes)?;
        let words = bytes.chunks_exact(8).map(|word| word.try_into().unwrap_or_default());
        let numbers = if float {
            Numbers::Floats(words.map(f64::from_ne_bytes).collect())
        } else {
            Numbers::Integers(words.map(i64::from_ne_bytes).collect())
        };
        Ok(Expected { shape, numbers })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends at the end of its input.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// JSON has no infinities and no NaN: a scalar is not one of these where this is called.
fn number(scalar: Scalar) -> Value {
    match scalar {
        Scalar::F32(value) => json!(f64::from(value)),
        Scalar::I32(value) => json!(value),
        Scalar::U32(value) => json!(value),
        Scalar::Bool(value) => json!(value),
        Scalar::Size(value) => json!(value),
    }
}

/// Verifies that the function returned what the op has.
pub(super) fn verify_count(function: &str, expected: &[Expected], outputs: usize) -> anyhow::Result<()> {
    ensure!(
        expected.len() == outputs,
        "the reference `{function}` returned {} tensors, expected one for each output: {outputs}",
        expected.len()
    );
    Ok(())
}
