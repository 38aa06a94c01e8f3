//! The C++ compiler of op packages.

use gpsimd_codegen::host_build::{Compiler, HostBuildError};

use crate::python;
use crate::workspace::Workspace;

/// `$CXX`; or the Clang of the wheel `ziglang`, where a Python of the workspace has it; or what the system has.
///
/// The wheel comes before the system's: it is Clang, which says which loops become vectors, and of a version that the
/// project's lock file holds.
pub(crate) fn find(workspace: &Workspace) -> anyhow::Result<Compiler> {
    if std::env::var_os("CXX").is_none_or(|cxx| cxx.is_empty())
        && let Some((python, _)) = python::find_package(workspace, "ziglang")
    {
        let words = [python.to_string_lossy().as_ref(), "-m", "ziglang", "c++"].map(String::from);
        return Ok(Compiler::at(words.to_vec()));
    }
    Compiler::find().map_err(|error| match error {
        HostBuildError::NoCompiler { .. } => anyhow::Error::new(error).context(
            "an op package is compiled for this CPU, too: install Clang (on Debian and Ubuntu: sudo apt-get install \
             clang), or `pip install ziglang` in the workspace's .venv",
        ),
        error => error.into(),
    })
}
