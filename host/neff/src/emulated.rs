//! What tells an emulated NEFF from one of the Neuron compiler, in one place.

/// How the build version of an emulated NEFF starts.
pub(super) const BUILD_VERSION_PREFIX: &str = "gpsimd-emulated ";

/// The build version of the NEFFs written here.
pub(super) const BUILD_VERSION: &str = concat!("gpsimd-emulated ", env!("CARGO_PKG_VERSION"));

/// What follows the model's name.
pub(super) const NAME_SUFFIX: &str = " (emulated)";

/// Packaging with an MD5, as the documentation shows it.
pub(super) const PKG_VERSION: u64 = 2;

/// The format's version. A runtime looks at the feature bits of versions from 2.0 (neuron-packager-user-guide).
pub(super) const VERSION: (u64, u64) = (2, 0);

/// A feature that no Neuron Runtime has: a runtime refuses NEFFs with features that it does not know. \[3rd\] libnrt 2.31.24
/// looks at bits 27 to 62 for that: the highest of them is the last to be given away, and bit 63 would refuse nothing.
pub(super) const FEATURE_BITS: u64 = 1 << 62;

/// `NeuronCores` that it runs on, and the size of a logical core.
pub(super) const CORES: u32 = 1;

/// \[3rd\] The opcode of custom ops, the same for every function.
pub(super) const OPCODE: u32 = 133;

/// What stands where a custom-op library of the vendor names the versions that it was built against.
pub(super) fn library_version() -> String {
    format!("gpsimd-abi {}", gpsimd_abi::ABI_VERSION)
}

/// The graph.
pub(super) const GRAPH_FILE: &str = "graph.json";

/// The only subgraph.
pub(super) const SUBGRAPH: &str = "sg00";
