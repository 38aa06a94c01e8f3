//! [`status`]: the exit status of an error.

use gpsimd_codegen::ImageError;
use gpsimd_codegen::host_build::HostBuildError;
use gpsimd_isa::IsaError;
use gpsimd_neuron_sdk as sdk;

use crate::{bring_up, check, doctor};

/// Exit status by what went wrong; clap's own is 2.
pub fn status(error: &anyhow::Error) -> u8 {
    let is_refused = |cause: &(dyn std::error::Error + 'static)| cause.is::<ImageError>();
    let is_missing = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(HostBuildError::NoCompiler { .. } | HostBuildError::NoTorch { .. }))
            || matches!(cause.downcast_ref(), Some(IsaError::Missing(_) | IsaError::NoNightly { .. }))
            || cause.is::<doctor::Missing>()
    };
    if error.is::<bring_up::Stopped>() || error.is::<check::Interrupted>() {
        130
    } else if error.chain().any(is_refused) {
        3
    } else if error.chain().any(is_missing) {
        4
    } else if let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<sdk::PackageBuildError>()) {
        sdk_status(error)
    } else {
        1
    }
}

/// Exit status of what kept the Neuron SDK from building.
fn sdk_status(error: &sdk::PackageBuildError) -> u8 {
    match error {
        sdk::PackageBuildError::Incomplete { .. } | sdk::PackageBuildError::NoModule { .. } => 5,
        sdk::PackageBuildError::Stopped => 130,
        sdk::PackageBuildError::NoPackage { .. } | sdk::PackageBuildError::File { .. } => 1,
        _ => 6,
    }
}
