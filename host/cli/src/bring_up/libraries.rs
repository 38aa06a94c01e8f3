//! [`Built`]: an op library of a bring-up: which there are, and what is built of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
use gpsimd_emulator::OpLibrary;
use gpsimd_neuron_sdk::Sdk;
use sha2::{Digest, Sha256};

use super::report::Library;
use crate::build::{self, Results};
use crate::causes;
use crate::profile::calibration;
use crate::profile::counting::{self, Vectors};
use crate::workspace::{OpCrate, Workspace};

/// How long the SDK's build of a package may take.
const BUILD_LIMIT: Duration = Duration::from_mins(30);

/// An op library, built.
pub(super) struct Built {
    /// Its name.
    pub(super) name: String,
    /// Its kernels, counting what they do; none if these do not build.
    pub(super) counting: Option<OpLibrary>,
    /// On the native tier, which says what is right.
    pub(super) native: OpLibrary,
    /// What is tried: the build for the device, or the package for this CPU.
    pub(super) tried: PathBuf,
    /// Digest of that.
    pub(super) digest: String,
    /// Whether it is that of the vendor's tutorial.
    pub(super) is_tutorial: bool,
}

/// What is built with.
pub(super) struct Builder<'a> {
    /// With the SDK for the device; without one, for this CPU.
    pub(super) sdk: Option<&'a Sdk>,
    pub(super) stop: &'a AtomicBool,
}

impl Builder<'_> {
    /// Builds a library. What the report says of it is there even where something fails.
    pub(super) fn build(&self, krate: &OpCrate, is_tutorial: bool) -> (Library, Option<Built>) {
        let mut library =
            Library { name: krate.library().into(), manifest: None, sha256: Vec::new(), compiler: None, error: None };
        let built = self.try_to_build(krate, is_tutorial, &mut library);
        let built = built.map_err(|error| library.error = Some(causes(&error))).ok();
        (library, built)
    }

    fn try_to_build(&self, krate: &OpCrate, is_tutorial: bool, library: &mut Library) -> anyhow::Result<Built> {
        let results = build::build(krate, "native", None)?;
        library.name.clone_from(&results.manifest().library);
        library.manifest = Some(results.manifest().clone());
        library.compiler = Some(results.compiler().to_owned());
        library.sha256 = digests(&results)?;
        let native = OpLibrary::load(&results.native)?;
        let tried = match self.sdk {
            Some(sdk) => build::neuron::build(&results, sdk, BUILD_LIMIT, self.stop)?.library,
            None => results.package.clone(),
        };
        let digest = digest(&tried)?;
        library.sha256.push((file_name(&tried), digest.clone()));
        // Of the tutorial's kernels no loop is taken for vectors: it names no flags, and the vendor's are `-Os`.
        let vectors = if is_tutorial { Vectors::None } else { Vectors::Compiler };
        let counting = counting::of_results(&results, vectors, krate.workspace());
        let counting = counting.inspect_err(|error| {
            library.error = Some(format!("what its cores do cannot be counted: {}", causes(error)));
        });
        let counting = counting.ok().map(|counting| counting.library);
        Ok(Built { name: library.name.clone(), counting, native, tried, digest, is_tutorial })
    }
}

/// Fails where an op is asked for that none of the libraries has, before any of the packages is built.
pub(super) fn verify_ops(names: &[String], crates: &[OpCrate], workspace: &Workspace) -> anyhow::Result<()> {
    let load = |krate: &OpCrate| Ok(OpLibrary::load(build::native_library(krate)?)?);
    let unknown = |libraries: &[OpLibrary]| names.iter().find(|name| libraries.iter().all(|one| one.op(name).is_err()));
    if names.is_empty() {
        return Ok(());
    }
    // What does not build is told where it is built, and may have the op.
    let Ok(libraries) = crates.iter().map(load).collect::<anyhow::Result<Vec<_>>>() else { return Ok(()) };
    if unknown(&libraries).is_none() {
        return Ok(());
    }
    // The tutorial's ops can be asked for, but are not those of the workspace.
    let tutorial = tutorial(workspace).and_then(|krate| load(&krate)).ok();
    let all: Vec<_> = libraries.iter().cloned().chain(tutorial).collect();
    let Some(name) = unknown(&all) else { return Ok(()) };
    if let [library] = &libraries[..] {
        library.op(name)?;
    }
    let listed = |library: &OpLibrary| {
        let ops: Vec<_> = library.ops().map(|op| format!("`{}`", op.name())).collect();
        format!("`{}` has {}", library.name(), ops.join(", "))
    };
    bail!("no op library here has an op `{name}`: {}", libraries.iter().map(listed).collect::<Vec<_>>().join("; "))
}

/// The kernels of the vendor's tutorial, as an op library of the workspace's build folder.
pub(super) fn tutorial(workspace: &Workspace) -> anyhow::Result<OpCrate> {
    calibration::relu(workspace)
}

fn digests(results: &Results) -> anyhow::Result<Vec<(String, String)>> {
    let name = &results.manifest().library;
    let files = [format!("{name}.cpp"), format!("{name}_shape.cpp"), "build.py".into()];
    files.into_iter().map(|file| Ok((file.clone(), digest(&results.folder.join(&file))?))).collect()
}

fn digest(file: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(format!("{:x}", Sha256::digest(bytes)))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
