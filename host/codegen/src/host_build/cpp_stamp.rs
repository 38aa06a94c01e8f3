//! [`update_cpp`]: builds C++ ops when anything that they are made of changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gpsimd_descriptor::LibraryDescriptor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::compiler::Compiler;
use super::cpp::{CppBuild, build_in};
use super::error::HostBuildError;
use super::headers::headers_digest;
use super::workspace::{Workspace, file};

/// A library of C++ ops in a folder.
#[derive(Clone, Debug)]
pub struct CppLibrary {
    /// What it says about itself.
    pub descriptor: LibraryDescriptor,
    /// The file, `lib<name>.so`.
    pub path: PathBuf,
    /// Whether it was built now; otherwise it was up to date.
    pub is_new: bool,
}

/// What a library was made of. It is beside the library, under a name that tells builds of other sources or flags apart.
#[derive(Serialize, Deserialize)]
struct Stamp {
    /// Digests of sources and headers.
    inputs: BTreeMap<PathBuf, String>,
    /// Digest of the library: another build may have replaced it.
    library: String,
    descriptor: LibraryDescriptor,
}

/// Brings the library of these C++ ops in `folder` up to date.
///
/// # Errors
/// As [`build_cpp`](super::build_cpp).
pub fn update_cpp(build: &CppBuild<'_>, folder: &Path, compiler: &Compiler) -> Result<CppLibrary, HostBuildError> {
    std::fs::create_dir_all(folder).map_err(|source| file("create", folder, source))?;
    let stamp_file = folder.join(format!("cpp-{}.stamp", &key(build, compiler)?[..16]));
    let library = |name: &str| folder.join(format!("lib{name}.so"));
    if let Some(stamp) = read(&stamp_file) {
        let path = library(&stamp.descriptor.name);
        let is_current = |(path, known): (&PathBuf, &String)| digest(path).is_ok_and(|digest| digest == *known);
        if is_current((&path, &stamp.library)) && stamp.inputs.iter().all(is_current) {
            return Ok(CppLibrary { descriptor: stamp.descriptor, path, is_new: false });
        }
    }
    let new = folder.join(format!("new-{}.so", std::process::id()));
    let workspace = Workspace::new(&new)?;
    let descriptor = build_in(&workspace, build, &new, compiler)?;
    let mut inputs = workspace.dependencies()?;
    if let Some(torch) = &build.torch {
        // One file for thousands: an installed PyTorch is replaced as a whole.
        inputs.retain(|path| !torch.contains(path));
        inputs.insert(torch.version_file());
    }
    let digested = |path: PathBuf| digest(&path).map(|digest| (path, digest));
    let inputs = inputs.into_iter().map(digested).collect::<Result<_, _>>()?;
    let stamp = Stamp { inputs, library: digest(&new)?, descriptor };
    let path = library(&stamp.descriptor.name);
    // A library that is loaded stays as it is: its file is replaced, not changed.
    std::fs::rename(&new, &path).map_err(|source| file("write", &path, source))?;
    let text = serde_json::to_vec_pretty(&stamp).map_err(std::io::Error::from);
    text.and_then(|text| std::fs::write(&stamp_file, text)).map_err(|source| file("write", &stamp_file, source))?;
    Ok(CppLibrary { descriptor: stamp.descriptor, path, is_new: true })
}

/// What tells a build from others, besides the content of files.
fn key(build: &CppBuild<'_>, compiler: &Compiler) -> Result<String, HostBuildError> {
    let mut hash = Sha256::new();
    let system = Compiler::system()?;
    hash.update(format!("{build:?} {compiler:?} {system:?} {}", headers_digest()));
    for compiler in [compiler, &system] {
        hash.update(compiler.version()?);
    }
    // Relative paths are those of a folder.
    hash.update(std::env::current_dir().unwrap_or_default().as_os_str().as_encoded_bytes());
    Ok(format!("{:x}", hash.finalize()))
}

/// What the stamp says, if it is one.
fn read(file: &Path) -> Option<Stamp> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

fn digest(path: &Path) -> Result<String, HostBuildError> {
    let bytes = std::fs::read(path).map_err(|source| file("read", path, source))?;
    Ok(format!("{:x}", Sha256::digest(bytes)))
}
