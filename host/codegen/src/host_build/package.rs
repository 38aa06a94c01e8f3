//! [`build_package`]: a generated op package for the emulator.

use std::path::{Path, PathBuf};

use gpsimd_descriptor::{LibraryDescriptor, OpDescriptor};

use super::adapter::adapter;
use super::compiler::{Compiler, Flavour, Optimisation, Source};
use super::error::HostBuildError;
use super::kernel::Kernel;
use super::workspace::{Workspace, file, write};

/// A generated op package to build.
///
/// The kernel function of an op has the op's name and takes its tensors, sizes as tensors, then `params` if it has
/// scalars. The shape function has `_shape` after that and the same parameters, and is registered with `NEURON_LIBRARY`.
#[derive(Clone, Debug)]
pub struct PackageBuild<'a> {
    /// What the library says about itself.
    pub descriptor: &'a LibraryDescriptor,
    /// Sources of the kernel functions.
    pub compute_sources: &'a [PathBuf],
    /// Sources of the shape functions.
    pub shape_sources: &'a [PathBuf],
    /// Include folders of the sources besides their own.
    pub include_folders: &'a [PathBuf],
    /// Whether every core runs the ops, or the first alone.
    pub is_multicore: bool,
    /// How much the compiler optimises.
    pub optimisation: Optimisation,
    /// Whether to use all that this machine's CPU has (`-march=native`); another CPU may then refuse the library.
    pub native_cpu: bool,
    /// The library to write.
    pub output: &'a Path,
}

/// Builds an op package into a library that the emulator loads.
///
/// # Errors
/// When a source does not compile, a function is missing, or a file cannot be written.
pub fn build_package(build: &PackageBuild<'_>, compiler: &Compiler) -> Result<(), HostBuildError> {
    let workspace = Workspace::new(build.output)?;
    let kernel = |op: &OpDescriptor| Kernel::of_tensors(&op.name, op.launch_operands().count());
    let kernels: Vec<_> = build.descriptor.ops.iter().map(kernel).collect();
    let adapter_source = workspace.path("adapter.cpp");
    write(&adapter_source, &adapter(build.descriptor, &kernels, build.is_multicore)?)?;
    let sources: Vec<_> = build.compute_sources.iter().chain(build.shape_sources).chain([&adapter_source]).collect();
    let flavour = Flavour::Device { optimisation: build.optimisation, native_cpu: build.native_cpu };
    let options = Options { include_folders: build.include_folders, flags: &[], flavour };
    let objects = compile(&workspace, compiler, "source", &sources, &options)?;
    link(&workspace, &objects, &[], build.output)
}

/// What Clang says about the loops of `source`, the kernels of a package, that it vectorises; none of a compiler that
/// is not Clang. See [`hot_loops`](crate::hot_loops()).
///
/// # Errors
/// When the source does not compile.
pub fn remarks(source: &Path, compiler: &Compiler) -> Result<Option<String>, HostBuildError> {
    let workspace = Workspace::new(&source.with_extension("remarks"))?;
    compiler.remarks(source, &workspace.include(), &workspace.path("remarks.o"))
}

/// How sources are compiled.
pub(super) struct Options<'a> {
    pub(super) include_folders: &'a [PathBuf],
    /// After those of the flavour.
    pub(super) flags: &'a [String],
    pub(super) flavour: Flavour,
}

/// Compiles sources at the same time; returns the objects, which are called `name` and a number.
pub(super) fn compile(
    workspace: &Workspace,
    compiler: &Compiler,
    name: &str,
    sources: &[&PathBuf],
    options: &Options<'_>,
) -> Result<Vec<PathBuf>, HostBuildError> {
    let includes = match options.flavour {
        // Before ours: the same name there is another header.
        Flavour::Libtorch => [options.include_folders, &[workspace.include()]].concat(),
        Flavour::Device { .. } => [&[workspace.include()], options.include_folders].concat(),
    };
    let source = |(number, path): (usize, &&PathBuf)| Source {
        path: (*path).clone(),
        object: workspace.path(&format!("{name}{number}.o")),
        includes: &includes,
        flags: options.flags,
        flavour: options.flavour,
    };
    let sources: Vec<_> = sources.iter().enumerate().map(source).collect();
    compiler.compile_all(&sources)?;
    Ok(sources.into_iter().map(|source| source.object).collect())
}

/// Links objects and puts the library in its place.
pub(super) fn link(
    workspace: &Workspace,
    objects: &[PathBuf],
    arguments: &[std::ffi::OsString],
    output: &Path,
) -> Result<(), HostBuildError> {
    let linked = workspace.path("library.so");
    Compiler::system()?.link(objects, arguments, false, &linked).map_err(|error| named(error, output))?;
    // A library that is loaded stays as it is: its file is replaced, not changed.
    std::fs::rename(&linked, output).map_err(|source| file("write", output, source))
}

/// An error about the library in the workspace as one about the library that was asked for.
fn named(error: HostBuildError, output: &Path) -> HostBuildError {
    match error {
        HostBuildError::Link { message, command, .. } => {
            HostBuildError::Link { library: output.into(), message, command }
        }
        error => error,
    }
}
