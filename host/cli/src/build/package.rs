//! The op package: generated, written, compiled for this CPU, and measured.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gpsimd_codegen::host_build::{Compiler, Optimisation, PackageBuild, build_package, remarks};
use gpsimd_codegen::{HotLoop, Image, Manifest, Package, hot_loops};
use gpsimd_emulator::gpsimd_descriptor::LibraryDescriptor;
use object::{Object, ObjectSymbol};
use serde::{Deserialize, Serialize};

use super::{step, write};
use crate::stamp::Stamp;

/// What is known of a package that was built.
#[derive(Serialize, Deserialize)]
pub struct Built {
    pub(super) manifest: Manifest,
    pub(super) ops: Vec<Measured>,
    /// Loops that are marked as hot, with what became of them.
    pub(super) hot_loops: Vec<HotLoop>,
    /// The compiler, as it calls itself.
    pub(super) compiler: String,
}

/// An op, measured.
#[derive(Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) name: String,
    /// Bytes of machine code of the functions that it runs, on this CPU.
    pub(super) code_bytes: u64,
    /// Loops that are marked as hot.
    pub(super) hot_loops: usize,
    /// Of these, those that were vectorised, by whole vectors, on a CPU with 512-bit vectors; none if the compiler does not say.
    pub(super) vectorized: Option<usize>,
    /// Lines of the source where the others start.
    pub(super) missed: Vec<usize>,
}

/// Brings the package of `image` in `folder` up to date.
pub(super) fn build(image: &Image<'_>, wasm: &[u8], folder: &Path, compiler: &Compiler) -> anyhow::Result<Built> {
    let package = Package::generate(image, wasm)?;
    let version = compiler.version()?;
    for (name, content) in package.files() {
        write(&folder.join(name), content.as_bytes())?;
    }
    let source = folder.join(format!("{}.cpp", package.name));
    let shapes = folder.join(format!("{}_shape.cpp", package.name));
    let library = folder.join(format!("lib{}.so", package.name));
    let summary = folder.join("build.json");
    let stamp = stamp(folder, &source, &shapes, compiler, &version)?;
    if stamp.is_current()
        && library.exists()
        && let Some(built) = fs::read(&summary).ok().and_then(|text| serde_json::from_slice(&text).ok())
    {
        return Ok(built);
    }

    // What an interrupted build leaves is not current, whatever the sources are next time.
    stamp.remove()?;
    step(3, "op package, compiled for this CPU, and its hot loops for a core's vectors");
    let remarks = std::thread::scope(|scope| {
        let remarks = scope.spawn(|| remarks(&source, compiler));
        compile(&image.descriptor, &source, shapes, &library, compiler)?;
        anyhow::Ok(remarks.join().expect("compiling does not panic")?)
    })?;
    let loops = hot_loops(&package.definitions, remarks.as_deref().unwrap_or_default());
    let ops = measure(&package.manifest, &loops, remarks.is_some(), &library)?;
    let built = Built { manifest: package.manifest, ops, hot_loops: loops, compiler: version };
    fs::write(&summary, serde_json::to_vec_pretty(&built)?)
        .with_context(|| format!("cannot write {}", summary.display()))?;
    stamp.write()?;
    Ok(built)
}

/// The stamp in `folder` of what is compiled from `source` and `shapes` for this CPU by a compiler of this version.
pub fn stamp(folder: &Path, source: &Path, shapes: &Path, compiler: &Compiler, version: &str) -> anyhow::Result<Stamp> {
    let also = format!("{version}\n{compiler:?}\n{}", gpsimd_codegen::host_build::headers_digest());
    Stamp::of(folder.join("build.stamp"), &[source.to_path_buf(), shapes.to_path_buf()], &also)
}

/// Compiles the package in `folder` for a debugger, beside the folder, and returns the library's path.
pub(super) fn debug(library: &LibraryDescriptor, folder: &Path, compiler: &Compiler) -> anyhow::Result<PathBuf> {
    let name = &library.name;
    let out = folder.with_file_name("debug");
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let (source, shapes) = (folder.join(format!("{name}.cpp")), folder.join(format!("{name}_shape.cpp")));
    let output = out.join(format!("lib{name}.so"));
    let stamp = stamp(&out, &source, &shapes, compiler, &compiler.version()?)?;
    if !stamp.is_current() || !output.exists() {
        stamp.remove()?;
        eprintln!("[+] op package, compiled for a debugger");
        compile_with(Optimisation::Debug, library, &source, shapes, &output, compiler)?;
        stamp.write()?;
    }
    Ok(output)
}

/// Compiles kernels and their shape functions for this CPU, into a library that the emulator loads.
pub fn compile(
    descriptor: &LibraryDescriptor,
    source: &Path,
    shapes: PathBuf,
    library: &Path,
    compiler: &Compiler,
) -> anyhow::Result<()> {
    compile_with(Optimisation::Speed, descriptor, source, shapes, library, compiler)
}

fn compile_with(
    optimisation: Optimisation,
    descriptor: &LibraryDescriptor,
    source: &Path,
    shapes: PathBuf,
    library: &Path,
    compiler: &Compiler,
) -> anyhow::Result<()> {
    let build = PackageBuild {
        descriptor,
        compute_sources: &[source.to_path_buf()],
        shape_sources: &[shapes],
        include_folders: &[],
        is_multicore: true,
        optimisation,
        native_cpu: true,
        output: library,
    };
    Ok(build_package(&build, compiler)?)
}

fn measure(manifest: &Manifest, loops: &[HotLoop], has_remarks: bool, library: &Path) -> anyhow::Result<Vec<Measured>> {
    let bytes = fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
    let file = object::File::parse(&*bytes).with_context(|| format!("cannot read {}", library.display()))?;
    let code_bytes = |functions: &[String]| {
        // The Itanium ABI's name of a static function has the length and the name in it.
        let is_one = |symbol: &str| functions.iter().any(|name| symbol.contains(&format!("L{}{name}", name.len())));
        file.symbols().filter(|symbol| symbol.name().is_ok_and(is_one)).map(|symbol| symbol.size()).sum()
    };
    let measure = |op: &gpsimd_codegen::ManifestOp| {
        let of_op: Vec<_> = loops.iter().filter(|found| op.functions.contains(&found.function)).collect();
        let (vectors, others): (Vec<_>, Vec<_>) =
            of_op.iter().copied().partition(|found: &&HotLoop| found.is_vectorized());
        Measured {
            name: op.name.clone(),
            code_bytes: code_bytes(&op.functions),
            hot_loops: of_op.len(),
            vectorized: has_remarks.then_some(vectors.len()),
            missed: others.iter().map(|found| found.first).collect(),
        }
    };
    Ok(manifest.ops.iter().map(measure).collect())
}
