//! What the generator refuses, with the function and the reason.

use gpsimd_abi::descriptor::DescriptorError;

/// Why a file is no kernel image, or none that becomes C++.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Not a WebAssembly module, or an invalid one.
    #[error("not a valid WebAssembly module: {0}")]
    Invalid(#[from] wasmparser::BinaryReaderError),
    /// Valid WebAssembly that no C++ is generated for.
    #[error("{place} uses {what}, which no C++ is generated for")]
    Unsupported {
        /// "the module", "function `path`", ...
        place: String,
        /// The feature or instruction.
        what: String,
    },
    /// The same, in a function that an op runs.
    #[error("op `{op}`: {source}")]
    InOp {
        /// The op.
        op: String,
        /// What is refused.
        source: Box<ImageError>,
    },
    /// No descriptor.
    #[error("there is no custom section `{0}`: does the crate call op_library!?")]
    NoDescriptor(&'static str),
    /// A descriptor that is wrong.
    #[error("custom section `{section}`: {source}")]
    Descriptor {
        /// Name of the section.
        section: &'static str,
        /// What is wrong.
        source: DescriptorError,
    },
    /// An export that an op needs is missing.
    #[error("op `{op}` has no export `{export}` of the type `{expected}`")]
    NoExport {
        /// The op.
        op: String,
        /// What is missing.
        export: String,
        /// Its type.
        expected: &'static str,
    },
    /// Its memory is not laid out as a core's TCM.
    #[error("the image is not linked for a core's TCM: {what}; build it with `cargo xtask build-kernels`")]
    Layout {
        /// What is wrong.
        what: String,
    },
    /// A limit of the device or of the vendor's tools.
    #[error("{what} is {found}, the limit is {limit}: {help}")]
    Limit {
        /// What is too large.
        what: String,
        /// Found.
        found: u64,
        /// Allowed.
        limit: u64,
        /// What to do.
        help: &'static str,
    },
}

impl ImageError {
    pub(crate) fn in_op(self, op: &str) -> Self {
        Self::InOp { op: op.into(), source: Box::new(self) }
    }

    pub(crate) fn unsupported(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Unsupported { place: place.into(), what: what.into() }
    }
}
