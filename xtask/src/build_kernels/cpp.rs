//! Ops written by hand for the vendor's C++ API, as a library that the emulator loads.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gpsimd_codegen::host_build::{CppBuild, Optimisation, TorchFolder, build_cpp};

use crate::process::shown_path;
use crate::python::Python;
use crate::workspace;

/// Builds the ops of `sources` with the shape functions of `shape`.
pub(super) fn build(
    sources: &[PathBuf],
    shape: &Path,
    is_multicore: bool,
    out: Option<&Path>,
    json: bool,
) -> anyhow::Result<()> {
    // The shape functions are compiled against PyTorch's headers.
    let python = Python::set_up()?;
    let torch = TorchFolder::new(python.package_folder("torch")?)?;
    let out = out.map_or_else(|| workspace::artifacts().join("cpp"), Path::to_path_buf);
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let built = out.join("new.so");
    let descriptor = build_cpp(
        &CppBuild {
            name: None,
            compute_sources: sources,
            shape_source: shape,
            include_folders: &[],
            torch: Some(torch),
            is_multicore,
            optimisation: Optimisation::Speed,
            output: &built,
        },
        &super::compiler()?,
    )?;
    let library = out.join(format!("lib{}.so", descriptor.name));
    fs::rename(&built, &library).with_context(|| format!("cannot write {}", library.display()))?;
    if json {
        let result = serde_json::json!({ "library": descriptor, "package": library });
        println!("{}", serde_json::to_string_pretty(&result)?);
        return Ok(());
    }
    println!("op library {}", descriptor.name);
    for op in &descriptor.ops {
        let operands: Vec<_> = op.tensors().map(|(name, _)| name).collect();
        println!("  {}({})", op.name, operands.join(", "));
    }
    println!("{}", shown_path(&library));
    Ok(())
}
