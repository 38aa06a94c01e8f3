//! The device-API headers, as part of this crate: a build writes them beside its objects.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::HostBuildError;
use super::workspace::write;

macro_rules! headers {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../include/", $path)))),*, ("gpsimd_abi.h", gpsimd_abi::C_HEADER)]
    };
}

/// Path and text of every header.
pub const HEADERS: &[(&str, &str)] = headers![
    "gpsimd/accessors.hpp",
    "gpsimd/adapter.hpp",
    "gpsimd/check.hpp",
    "gpsimd/coherence.hpp",
    "gpsimd/core.hpp",
    "gpsimd/dispatch.hpp",
    "gpsimd/element.hpp",
    "gpsimd/elementwise.hpp",
    "gpsimd/factories.hpp",
    "gpsimd/frame.hpp",
    "gpsimd/numbers.hpp",
    "gpsimd/shape.hpp",
    "gpsimd/shape_emulated.hpp",
    "gpsimd/shape_libtorch.hpp",
    "gpsimd/shape_operand.hpp",
    "gpsimd/tcm.hpp",
    "gpsimd/tensor.hpp",
    "neuron/neuron-utils.hpp",
    "torch/torch.h",
    "torchneuron/register.h",
];

/// Writes the headers to `folder`, an include folder for a compiler.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_headers(folder: &Path) -> Result<(), HostBuildError> {
    HEADERS.iter().try_for_each(|(path, text)| write(&folder.join(path), text))
}

/// Digest of all headers: what is built with them has to be built again when it changes.
pub fn headers_digest() -> String {
    let mut digest = Sha256::new();
    for (path, text) in HEADERS {
        digest.update(path);
        digest.update(text);
    }
    format!("{:x}", digest.finalize())
}
