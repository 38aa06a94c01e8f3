//! NEFF files: what the Neuron compiler makes and the Neuron Runtime loads. [`Neff`] reads and verifies them;
//! [`NeffBuilder`] writes emulated ones, which run a [`Graph`] of op calls on the emulated runtime and on nothing else.
//!
//! With the feature `emulator`, `Graph::resolve` finds the ops that a graph calls and compares their types with the graph.
//!
//! A NEFF is a [`Header`] of 1024 bytes and a tar archive, usually gzipped, with a folder for each [`Subgraph`]. The header
//! and `def.json` are documented; what is not says so, with "observed by third parties" or "our assumption". This was
//! written without a NEFF of the Neuron compiler to compare with.

mod archive;
mod builder;
mod compiler;
mod dtype;
mod emulated;
mod error;
mod extract;
mod graph;
mod graph_check;
mod hash;
mod header;
mod json;
mod limits;
mod package;
#[cfg(feature = "emulator")]
mod resolve;
#[cfg(feature = "emulator")]
mod scalar;
mod show;
mod subgraph;
mod ucode_library;

pub use builder::NeffBuilder;
pub use dtype::NeffDType;
pub use error::NeffError;
pub use graph::{Call, Graph, GraphLibrary, TensorSpec};
pub use graph_check::GraphError;
pub use hash::HashCheck;
pub use header::Header;
pub use limits::Limits;
pub use package::{Neff, NeffTensor};
#[cfg(feature = "emulator")]
pub use resolve::{CallProblem, ResolveError, ResolvedCall};
#[cfg(feature = "emulator")]
pub use scalar::ScalarError;
pub use show::Summary;
pub use subgraph::{Queue, Subgraph, Variable};
pub use ucode_library::{Function, UcodeLibrary};
