//! [`Graph`]: what an emulated NEFF runs, its `graph.json`.

use serde::{Deserialize, Serialize};

use crate::Dtype;

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
    pub dtype: Dtype,
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
    /// Values of the scalar operands, in order.
    #[serde(default)]
    pub scalars: Vec<f32>,
    /// Name of the tensor that receives the result.
    pub output: String,
}

impl Graph {
    /// Version of the format written here, and the only one read.
    pub const VERSION: u32 = 1;
}
