//! [`Process`]: a Python that calls the references of ops, and ops through PyTorch.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, anyhow, bail};
use gpsimd_emulator::gpsimd_descriptor::{OpDescriptor, OperandKind};
use gpsimd_emulator::{Op, Scalar, Tensor};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::operands::Operands;
use crate::python::find_package;
use crate::workspace::OpCrate;

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

/// What a reference returned, and what the function has as `tolerance`, a pair of numbers.
pub(super) struct Returned {
    pub(super) outputs: Vec<Expected>,
    pub(super) tolerance: Option<Tolerance>,
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

/// A Python that has PyTorch; it ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<String>,
    #[serde(default)]
    tolerance: Option<(f64, f64)>,
    #[serde(default)]
    outputs: Vec<Described>,
}

/// What comes of an op through PyTorch, on operands that are not contiguous.
#[derive(Debug, Deserialize, PartialEq)]
pub(in crate::check) struct ThroughPyTorch {
    /// Why it was not tried: `gpsimd_torch` is not there, or does not take the library.
    pub(in crate::check) missing: Option<String>,
    /// Where it differs from the op on contiguous copies.
    pub(in crate::check) difference: Option<String>,
}

#[derive(Deserialize)]
struct Described {
    float: bool,
    shape: Vec<usize>,
}

impl Process {
    /// Starts the Python of the crate's workspace, in which modules of the crate's folder, and of `python` in it, are found;
    /// none where no Python has `PyTorch`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(library: &OpCrate) -> anyhow::Result<Option<Self>> {
        let Some((python, _)) = find_package(library.workspace(), "torch") else { return Ok(None) };
        let folders: [PathBuf; 2] = [library.folder().to_owned(), library.folder().join("python")];
        let mut command = Command::new(&python);
        command.args(["-c", include_str!("worker.py")]).args(folders);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {}", python.display()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("a pipe was asked for")?);
        Ok(Some(Self { child, input, output }))
    }

    /// What `function`, `module:function`, returns for these operands of `op`.
    ///
    /// # Errors
    /// When there is no such function, or it raises an exception.
    pub(super) fn call(&mut self, function: &str, op: &OpDescriptor, operands: &Operands) -> anyhow::Result<Returned> {
        self.send(&json!({ "function": function, "arguments": arguments(op, operands)? }), operands)?;
        let of_op = || format!("the reference `{function}` of op `{}`", op.name);
        let answer: Answer = self.answer().with_context(of_op)?;
        if let Some(error) = answer.error {
            return Err(anyhow!("it failed:\n{}", error.trim_end())).with_context(of_op);
        }
        let tolerance = answer.tolerance.map(|(relative, absolute)| Tolerance { relative, absolute });
        let outputs = answer.outputs.into_iter().map(|described| self.tensor(described)).collect::<Result<_, _>>();
        Ok(Returned { outputs: outputs.with_context(of_op)?, tolerance })
    }

    /// Calls an op of a library through `PyTorch` with operands in several layouts, and compares with contiguous copies of them.
    ///
    /// # Errors
    /// When Python ends, or raises an exception that the op does not.
    pub(in crate::check) fn through_pytorch(
        &mut self,
        library: &Path,
        op: &Op,
        namespace: &str,
        operands: &Operands,
    ) -> anyhow::Result<ThroughPyTorch> {
        let descriptor = op.descriptor();
        let names: Vec<_> = descriptor.operands.iter().map(|operand| &operand.name).collect();
        let outputs: Vec<_> = op.outputs().iter().map(|output| &output.name).collect();
        let arguments = arguments(descriptor, operands)?;
        let call = json!({
            "op": op.name(), "library": library, "namespace": namespace, "names": names, "outputs": outputs,
            "arguments": arguments,
        });
        self.send(&call, operands)?;
        self.answer().with_context(|| format!("op `{}` through PyTorch", op.name()))
    }

    fn send(&mut self, call: &Value, operands: &Operands) -> anyhow::Result<()> {
        let mut message = serde_json::to_vec(call)?;
        message.push(b'\n');
        operands.tensors.iter().map(Tensor::bytes).for_each(|bytes| message.extend_from_slice(bytes));
        let input = self.input.as_mut().context("the process has ended")?;
        // One that has ended says why when its answer is read.
        let _ = input.write_all(&message).and_then(|()| input.flush());
        Ok(())
    }

    fn answer<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.is_empty() {
            bail!("Python ended ({}); what it said is above", self.child.wait()?);
        }
        serde_json::from_str(&line).context("Python answered something else than was asked")
    }

    fn tensor(&mut self, Described { float, shape }: Described) -> anyhow::Result<Expected> {
        let len = shape.iter().try_fold(1_usize, |len, size| len.checked_mul(*size)).filter(|len| *len <= MOST);
        let len = len.with_context(|| format!("it returned a tensor of {shape:?}"))?;
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

/// The operands in the order of the op, tensors without their bytes.
fn arguments(op: &OpDescriptor, operands: &Operands) -> anyhow::Result<Vec<Value>> {
    let (mut tensors, mut scalars) = (operands.tensors.iter(), operands.scalars.iter());
    let argument = |kind| {
        Ok(if matches!(kind, OperandKind::Tensor(_)) {
            let ty = tensors.next().context("a tensor is missing")?.ty();
            json!({ "dtype": ty.dtype().name(), "shape": ty.shape() })
        } else {
            json!({ "number": number(*scalars.next().context("a scalar is missing")?) })
        })
    };
    op.operands.iter().map(|operand| operand.kind).map(argument).collect()
}

/// JSON has no infinities and no NaN: they are text, which Python reads.
fn number(scalar: Scalar) -> Value {
    match scalar {
        Scalar::F32(value) if !value.is_finite() => json!(value.to_string()),
        Scalar::F32(value) => json!(f64::from(value)),
        Scalar::I32(value) => json!(value),
        Scalar::U32(value) => json!(value),
        Scalar::Bool(value) => json!(value),
        Scalar::Size(value) => json!(value),
    }
}
