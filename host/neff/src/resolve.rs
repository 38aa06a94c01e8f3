//! [`Graph::resolve`]: whether a graph fits its op libraries. What packs a graph asks, and what loads it: a graph that is
//! packed can be loaded.

use std::collections::HashMap;

use gpsimd_emulator::gpsimd_descriptor::OperandKind;
use gpsimd_emulator::{Op, OpLibrary, OperandError, Scalar, TensorError, TensorType, UnknownOp};

use crate::scalar::{self, ScalarError};
use crate::{Call, Graph, GraphError, NeffDType, TensorSpec};

/// A call of a graph with its op, and the types of what it takes and writes.
#[derive(Clone, Debug)]
pub struct ResolvedCall {
    /// The op.
    pub op: Op,
    /// Types of the tensor operands, in order.
    pub operands: Vec<TensorType>,
    /// The scalars and sizes, in order.
    pub scalars: Vec<Scalar>,
    /// Types of the outputs, in order.
    pub outputs: Vec<TensorType>,
}

/// Why a graph cannot be run with its op libraries.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// A graph that cannot be run with any.
    #[error("{0}")]
    Graph(GraphError),
    /// A call that does not fit its op.
    #[error("calls[{index}] `{op}`: {problem}")]
    Call {
        /// The call.
        index: usize,
        /// What it calls.
        op: String,
        /// What does not fit.
        problem: Box<CallProblem>,
    },
}

/// What does not fit between a call and its op.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallProblem {
    /// The library was not handed over.
    #[error("its op library is not there")]
    NoLibrary,
    /// The library has no such op.
    #[error("{0}")]
    UnknownOp(UnknownOp),
    /// A tensor of an element type that only the runtime knows.
    #[error("tensor `{tensor}` is {dtype}, which no op takes")]
    Dtype {
        /// The tensor.
        tensor: String,
        /// Its element type.
        dtype: NeffDType,
    },
    /// A tensor that no op can have.
    #[error("tensor `{tensor}`: {problem}")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// Why.
        problem: TensorError,
    },
    /// Operands that the op does not take.
    #[error("{0}")]
    Operands(OperandError),
    /// More scalars than the op takes, or fewer.
    #[error("it takes {}, found {found}", counted("scalar", expected))]
    Scalars {
        /// Names of the scalars and sizes that it takes.
        expected: Vec<String>,
        /// How many there are.
        found: usize,
    },
    /// A value that the scalar or size cannot have.
    #[error("{0}")]
    Scalar(ScalarError),
    /// More results than the op has, or fewer.
    #[error("it has {}, found {found}", counted("output", expected))]
    Outputs {
        /// Names of the outputs that it has.
        expected: Vec<String>,
        /// How many there are.
        found: usize,
    },
    /// An output that is declared as something else than what the op writes.
    #[error("its output `{output}` is {expected}, but `{tensor}` is declared as {declared}")]
    Output {
        /// The output, as the op calls it.
        output: String,
        /// The tensor.
        tensor: String,
        /// What the op writes.
        expected: Box<TensorType>,
        /// What the graph says.
        declared: Box<TensorType>,
    },
}

impl Graph {
    /// Finds the op of every call, in order, and compares what it takes and writes with what the graph says. `library` knows
    /// op libraries by their names in the graph.
    ///
    /// # Errors
    /// When the graph is not [valid](Graph::validate), and at the first call that does not fit its op.
    pub fn resolve<'l>(
        &self,
        library: impl Fn(&str) -> Option<&'l OpLibrary>,
    ) -> Result<Vec<ResolvedCall>, ResolveError> {
        self.validate().map_err(ResolveError::Graph)?;
        let tensors: HashMap<_, _> = self.tensors().map(|spec| (spec.name.as_str(), spec)).collect();
        let resolved = self.calls.iter().enumerate().map(|(index, call)| {
            let in_call = |problem| ResolveError::Call { index, op: call.op.clone(), problem: Box::new(problem) };
            resolve_call(call, &library, &tensors).map_err(in_call)
        });
        resolved.collect()
    }
}

fn resolve_call<'l>(
    call: &Call,
    library: &impl Fn(&str) -> Option<&'l OpLibrary>,
    tensors: &HashMap<&str, &TensorSpec>,
) -> Result<ResolvedCall, CallProblem> {
    // The path is one, and the tensors are there: the graph is valid.
    let (name, op) = call.op_path().ok_or(CallProblem::NoLibrary)?;
    let op = library(name).ok_or(CallProblem::NoLibrary)?.op(op).map_err(CallProblem::UnknownOp)?;
    let operands = call.tensors.iter().map(|name| tensors[name.as_str()].op_type()).collect::<Result<Vec<_>, _>>()?;
    let scalars = scalars(call, &op)?;
    let sizes = scalars.iter().filter_map(|scalar| if let Scalar::Size(size) = scalar { Some(*size) } else { None });
    let outputs = op.shape(&operands, &sizes.collect::<Vec<_>>()).map_err(CallProblem::Operands)?;
    let described = op.outputs();
    if described.len() != call.outputs.len() {
        let expected = described.iter().map(|output| output.name.clone()).collect();
        return Err(CallProblem::Outputs { expected, found: call.outputs.len() });
    }
    for ((name, output), expected) in call.outputs.iter().zip(described).zip(&outputs) {
        let declared = tensors[name.as_str()].op_type()?;
        if declared != *expected {
            let (output, tensor) = (output.name.clone(), name.clone());
            let (expected, declared) = (Box::new(*expected), Box::new(declared));
            return Err(CallProblem::Output { output, tensor, expected, declared });
        }
    }
    Ok(ResolvedCall { op, operands, scalars, outputs })
}

/// The scalars and sizes of a call, of the types that its op takes.
fn scalars(call: &Call, op: &Op) -> Result<Vec<Scalar>, CallProblem> {
    let operands = op.descriptor().operands.iter();
    let expected: Vec<_> = operands.filter(|operand| !matches!(operand.kind, OperandKind::Tensor(_))).collect();
    if expected.len() != call.scalars.len() {
        let expected = expected.iter().map(|operand| operand.name.clone()).collect();
        return Err(CallProblem::Scalars { expected, found: call.scalars.len() });
    }
    let scalars = expected.iter().zip(&call.scalars).map(|(operand, value)| scalar::of(operand, value));
    scalars.collect::<Result<_, _>>().map_err(CallProblem::Scalar)
}

impl TensorSpec {
    /// The type that an op sees.
    fn op_type(&self) -> Result<TensorType, CallProblem> {
        let unknown = || CallProblem::Dtype { tensor: self.name.clone(), dtype: self.dtype };
        let dtype = self.dtype.op_dtype().ok_or_else(unknown)?;
        let shape: Vec<_> = self.shape.iter().map(|&size| size as usize).collect();
        TensorType::new(dtype, &shape).map_err(|problem| CallProblem::Tensor { tensor: self.name.clone(), problem })
    }
}

fn counted(what: &str, names: &[String]) -> String {
    match names {
        [] => format!("no {what}s"),
        [name] => format!("1 {what} ({name})"),
        names => format!("{} {what}s ({})", names.len(), names.join(", ")),
    }
}
