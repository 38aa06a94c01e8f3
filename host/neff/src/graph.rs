//! [`Graph`]: what an emulated NEFF runs, its `graph.json`.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::GraphError;
use crate::NeffDType;

/// A straight-line program of op calls on named tensors.
///
/// A tensor is an input, an output, or the result of a call; each name is written once, and read by later calls only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// Version of this format: [`Graph::VERSION`].
    pub version: u32,
    /// What the caller gives.
    pub inputs: Vec<TensorSpec>,
    /// What the caller gets. Each is the result of one call.
    pub outputs: Vec<TensorSpec>,
    /// Results of calls that only later calls read.
    #[serde(default)]
    pub intermediates: Vec<TensorSpec>,
    /// Op libraries, at most one by the vendor's rule; more are allowed here.
    pub libraries: Vec<GraphLibrary>,
    /// The calls, in the order in which they run.
    pub calls: Vec<Call>,
}

/// A tensor of a graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// Name, at most 255 bytes.
    pub name: String,
    /// Element type.
    pub dtype: NeffDType,
    /// Dimensions.
    pub shape: Vec<u32>,
}

/// An op library inside the NEFF's archive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphLibrary {
    /// Name of the library, as in `torch.ops.<name>`.
    pub name: String,
    /// Its file in the archive: a native op library (`lib<name>.so`) for the host the emulation runs on.
    pub file: String,
}

/// One launch of an op.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// `<library>.<op>`.
    pub op: String,
    /// Names of tensors for the tensor operands, in order.
    pub tensors: Vec<String>,
    /// Values of the scalars and sizes, in order: numbers and bools, of the types that the op's descriptor says. JSON has
    /// no NaN and no infinity.
    #[serde(default)]
    pub scalars: Vec<Value>,
    /// Names of the tensors that receive the results, in order. Of an op with one, `"output": "y"` is read, too.
    #[serde(alias = "output", deserialize_with = "one_or_several")]
    pub outputs: Vec<String>,
}

/// Names, or one by itself.
fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected the name of a tensor, or a list of names")]
    enum Names {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::One(name) => vec![name],
        Names::Several(names) => names,
    })
}

impl Graph {
    /// Version of the format written here, and the only one read.
    pub const VERSION: u32 = 1;

    /// Bytes that the name of a tensor can have: `NRT_TENSOR_NAME_MAX` without the zero at its end.
    pub const MAX_NAME: usize = 255;

    /// Inputs, outputs and intermediates.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorSpec> {
        self.inputs.iter().chain(&self.outputs).chain(&self.intermediates)
    }

    /// Checks what can be checked without the op libraries: every name is there once, every tensor is written once before
    /// it is read, every library that is called is listed, every tensor fits in memory.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), GraphError> {
        super::graph_check::check(self)
    }
}

impl TensorSpec {
    /// Elements; none when they are too many for this host's memory.
    pub fn elements(&self) -> Option<usize> {
        let dims = self.shape.iter().map(|&dim| dim as usize);
        // A size of 0 does not make the others smaller: their product is what strides are computed with.
        dims.clone().try_fold(1_usize, |product, dim| product.checked_mul(dim.max(1)))?;
        Some(dims.product())
    }

    /// Bytes; none when they are too many for this host's memory.
    pub fn bytes(&self) -> Option<usize> {
        self.elements()?.checked_mul(self.dtype.size()).filter(|&bytes| isize::try_from(bytes).is_ok())
    }
}

impl Call {
    /// Name of the library and of the op; none when `op` is not of that form.
    pub fn op_path(&self) -> Option<(&str, &str)> {
        self.op.split_once('.').filter(|(library, op)| !library.is_empty() && !op.is_empty())
    }
}
