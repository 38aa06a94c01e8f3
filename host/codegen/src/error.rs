//! What the generator refuses, with the function and the reason.

use gpsimd_descriptor::DescriptorError;

/// Why a file is not a kernel image, or none that becomes C++.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Another kind of file.
    #[error("not a WebAssembly module: a kernel image is the .wasm of `cargo gpsimd build`")]
    NoModule,
    /// An invalid WebAssembly module.
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
    /// An instruction or type of a WebAssembly feature that kernels are compiled without.
    #[error(
        "{place} needs a WebAssembly feature that no C++ is generated for ({feature}): compile the kernels without \
         target features of your own, the device's compiler makes the vectors"
    )]
    Feature {
        /// "the module", "function `path`", ...
        place: String,
        /// What the validator says.
        feature: String,
    },
    /// A call of something that is not there.
    #[error("op `{op}`: its {caller} calls `{called}`, {reason}")]
    Call {
        /// The op.
        op: String,
        /// "kernel" or "shape function".
        caller: &'static str,
        /// What is called, as it is imported.
        called: String,
        /// Why it cannot be, and what to do.
        reason: &'static str,
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
    #[error(
        "op `{op}` has no export `{export}` of the type `{expected}`: build it with the `gpsimd` crate of this version"
    )]
    NoExport {
        /// The op.
        op: String,
        /// What is missing.
        export: String,
        /// Its type.
        expected: &'static str,
    },
    /// A name that no C++ function can have.
    #[error("op `{op}`: no C++ function can have this name: rename the op")]
    Name {
        /// The op.
        op: String,
    },
    /// Its memory is not laid out as a core's TCM.
    #[error("the image is not linked for a core's TCM: {what}; build it with `cargo gpsimd build`")]
    Layout {
        /// What is wrong.
        what: String,
    },
    /// Statics that a kernel could write.
    #[error(
        "the library has statics that can change, {names}: a core starts every launch without what was kept there in \
         the last, and shares it with no other core; keep state in tensors, or make it a `const` or a plain `static`"
    )]
    WritableStatics {
        /// Their Rust paths.
        names: String,
    },
    /// A name that is not the library's to take.
    #[error(
        "the library cannot be called `{0}`, a name that the vendor's runtime keeps for itself: choose another in op_library!"
    )]
    ReservedName(String),
    /// A limit of the device or of the vendor's tools.
    #[error("{what} is {found}{unit}, the limit is {limit}: {help}")]
    Limit {
        /// What is too large.
        what: String,
        /// Found.
        found: u64,
        /// Allowed.
        limit: u64,
        /// " bytes", " characters", or nothing for what is counted.
        unit: &'static str,
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
