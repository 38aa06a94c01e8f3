//! The library that a profile runs: the kernels of the package, counting what they compute.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::Context;
use gpsimd_codegen::{HotLoop, Image, Package};
use gpsimd_emulator::OpLibrary;
use gpsimd_emulator::gpsimd_descriptor::limits::TCM_POOL_BYTES;

use crate::build::cpp::{self, Cpp};
use crate::build::{self, Results, package};
use crate::compiler;
use crate::workspace::{OpCrate, Workspace};

/// An op library that counts, and what the image says of its TCM.
pub(crate) struct Counting {
    pub(crate) library: OpLibrary,
    /// Where in a core's TCM its tile buffers are.
    pub(crate) tile_buffers: Range<u32>,
    /// Hot loops by op that the compiler makes no vectors of.
    pub(crate) missed: Vec<(String, usize)>,
}

/// Which hot loops count as vectors.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Vectors {
    /// Those that the compiler makes vectors of; all if it does not say.
    Compiler,
    #[cfg(test)]
    All,
    None,
}

/// Builds the counting kernels of an op library.
pub(crate) fn build(library: &OpCrate, vectors: Vectors) -> anyhow::Result<Counting> {
    of_results(&build::build(library, "native", None)?, vectors, library.workspace())
}

/// Builds the counting kernels of an op library that is built.
pub(crate) fn of_results(built: &Results, vectors: Vectors, workspace: &Workspace) -> anyhow::Result<Counting> {
    let knows = built.knows_vectors();
    if vectors == Vectors::Compiler && !knows {
        eprintln!(
            "{} does not say which loops it makes vectors of, so every hot loop is taken for one: use Clang",
            built.compiler()
        );
    }
    let is_vector = |hot: &HotLoop| match vectors {
        Vectors::Compiler if knows => hot.is_vectorized(),
        Vectors::Compiler => true,
        #[cfg(test)]
        Vectors::All => true,
        Vectors::None => false,
    };
    let wasm = fs::read(&built.image).with_context(|| format!("cannot read {}", built.image.display()))?;
    let image = Image::read(&wasm)?;
    let loops: Vec<HotLoop> = built
        .hot_loops()
        .iter()
        .map(|hot| HotLoop { width: is_vector(hot).then_some(hot.lanes), ..hot.clone() })
        .collect();
    let kernels = Package::counting_kernels(&image, &loops)?;
    let file = compile(built, &image, &kernels, workspace)?;
    Ok(Counting {
        library: OpLibrary::load(&file)?,
        tile_buffers: image.memory.pool_start..image.memory.pool_start + image.memory.pool,
        missed: if knows { built.missed_loops() } else { Vec::new() },
    })
}

/// Builds ops written by hand. Nothing counts what they compute, and all of TCM is theirs to divide.
pub(crate) fn of_cpp(ops: &Cpp<'_>, workspace: &Workspace) -> anyhow::Result<Counting> {
    let library = OpLibrary::load(&cpp::update(ops, workspace, None)?.path)?;
    Ok(Counting { library, tile_buffers: 0..TCM_POOL_BYTES as u32, missed: Vec::new() })
}

fn compile(built: &Results, image: &Image<'_>, kernels: &str, workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let name = &image.descriptor.name;
    let folder = built.folder.with_file_name("profile");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let source = folder.join(format!("{name}_counting.cpp"));
    let shapes = built.folder.join(format!("{name}_shape.cpp"));
    let output = folder.join(format!("lib{name}_counting.so"));
    build::write(&source, kernels.as_bytes())?;
    let compiler = compiler::find(workspace)?;
    let stamp = package::stamp(&folder, &source, &shapes, &compiler, &compiler.version()?)?;
    if !stamp.is_current() || !output.exists() {
        stamp.remove()?;
        eprintln!("[+] kernels that count, compiled for this CPU");
        package::compile(&image.descriptor, &source, shapes, &output, &compiler)?;
        stamp.write()?;
    }
    Ok(output)
}
