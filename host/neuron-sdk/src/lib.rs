//! The Neuron SDK: [`Sdk`] says where it is and what of it is missing, and builds op packages with it; [`check_device_library`] looks
//! into what that returns.
//!
//! Nothing here has seen a Trn1 or Inf2 host. Folders and package names are the documented ones; files in `gpsimd/` are where
//! third parties saw them in packages of version 0.21.

mod build;
mod device_library;
mod diagnosis;
mod environment;
mod error;
mod finding;
mod packages;
mod pieces;
mod process;
mod python;
mod schema;
mod version;

use std::path::{Path, PathBuf};

pub use build::{Built, PackageBuild};
pub use device_library::{DeviceLibraryContents, check_device_library};
pub use diagnosis::CompilerError;
pub use environment::Environment;
pub use error::{DeviceLibraryError, PackageBuildError};
pub use finding::{Finding, FindingState, table};

use pieces::Piece;

/// The Neuron SDK of a host, complete or not.
#[derive(Debug)]
pub struct Sdk {
    findings: Vec<Finding>,
    interpreter: Option<PathBuf>,
}

impl Sdk {
    /// The SDK of this host. Asks the package manager and Python, each with a time limit; imports nothing, changes nothing.
    pub fn locate() -> Self {
        Self::locate_in(&Environment::of_this_host())
    }

    /// The SDK of a host.
    pub fn locate_in(environment: &Environment) -> Self {
        let (findings, interpreter) = pieces::find(environment);
        Self { findings, interpreter }
    }

    /// A line for each piece, in a fixed order.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether every piece is there.
    pub fn is_complete(&self) -> bool {
        self.findings.iter().all(|finding| finding.state.is_usable())
    }

    /// Whether the pieces that building an op package takes are there: everything but the device and its runtime.
    pub fn can_build(&self) -> bool {
        self.needed_to_build().all(|finding| finding.state.is_usable())
    }

    /// The Python that has `torch_neuronx`, or would have it.
    pub fn interpreter(&self) -> Option<&Path> {
        self.interpreter.as_deref()
    }

    fn needed_to_build(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| Piece::NEEDED_TO_BUILD.map(Piece::name).contains(&finding.piece))
    }
}
