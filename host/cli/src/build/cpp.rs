//! Ops written by hand for the vendor's C++ API, as a library that the emulator loads.

use std::path::{Path, PathBuf};

use gpsimd_codegen::host_build::{Compiler, CppBuild, CppLibrary, Optimisation, TorchFolder, update_cpp};

use crate::process::shown_path;
use crate::python;
use crate::workspace::Workspace;

/// C++ ops of a command line.
pub struct Cpp<'a> {
    /// Sources of the kernel functions.
    pub sources: &'a [PathBuf],
    /// Sources of the shape functions.
    pub shapes: &'a [PathBuf],
    /// Whether every core runs the ops, or the first alone.
    pub is_multicore: bool,
    /// What the compilers get besides.
    pub compiler: &'a CompilerOptions,
}

/// What the compilers of --cpp sources get besides the build's own flags, as by `extra_include_paths` and `extra_cflags` of
/// the vendor's `custom_op.load`.
#[derive(Default, clap::Args)]
pub struct CompilerOptions {
    /// Folder of headers that the --cpp and shape sources include; may be given several times
    #[arg(long, value_name = "DIR", requires = "cpp", value_parser = folder)]
    include: Vec<PathBuf>,
    /// Macro of these sources; may be given several times
    #[arg(long, value_name = "NAME[=VALUE]", requires = "cpp", value_parser = macro_flag)]
    define: Vec<String>,
    /// Flag of the compiler for these sources, after the build's own; may be given several times
    #[arg(long, value_name = "FLAG", requires = "cpp", allow_hyphen_values = true, value_parser = flag)]
    flag: Vec<String>,
}

/// Brings the library of these ops up to date, in `out` or where artifacts are.
pub fn update(cpp: &Cpp<'_>, workspace: &Workspace, out: Option<&Path>) -> anyhow::Result<CppLibrary> {
    // The shape functions are compiled against PyTorch's headers.
    let torch = TorchFolder::new(python::package_folder(workspace, "torch")?)?;
    let out = out.map_or_else(|| workspace.artifacts().join("cpp"), Path::to_path_buf);
    let flags = [&cpp.compiler.define[..], &cpp.compiler.flag].concat();
    let build = CppBuild {
        name: None,
        compute_sources: cpp.sources,
        shape_sources: cpp.shapes,
        include_folders: &cpp.compiler.include,
        flags: &flags,
        torch: Some(torch),
        is_multicore: cpp.is_multicore,
        optimisation: Optimisation::Speed,
    };
    // Not the Clang of the Python environment: ops may use the C++ library, and that of the system is linked.
    Ok(update_cpp(&build, &out, &Compiler::find()?)?)
}

/// Builds the ops and prints what they are.
pub(super) fn build(cpp: &Cpp<'_>, workspace: &Workspace, out: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let library = update(cpp, workspace, out)?;
    let descriptor = &library.descriptor;
    if json {
        let result = serde_json::json!({ "library": descriptor, "package": library.path });
        println!("{}", serde_json::to_string_pretty(&result)?);
        return Ok(());
    }
    println!("op library {}", descriptor.name);
    for op in &descriptor.ops {
        let operands: Vec<_> = op.operands.iter().map(|operand| operand.name.as_str()).collect();
        println!("  {}({})", op.name, operands.join(", "));
    }
    println!("{}{}", shown_path(&library.path), if library.is_new { "" } else { " (up to date)" });
    Ok(())
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_dir() { Ok(path) } else { Err("expected the folder of headers, there is none of this name".into()) }
}

fn macro_flag(text: &str) -> Result<String, String> {
    let name = text.split_once('=').map_or(text, |(name, _)| name);
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if is_name { Ok(format!("-D{text}")) } else { Err(format!("`{name}` is not the name of a macro")) }
}

/// What would have the compiler do something else than compile one source to one object is not a flag.
fn flag(text: &str) -> Result<String, String> {
    if !text.starts_with('-') || text == "-" {
        return Err(
            "expected a flag of the compiler, which starts with `-`; a source is given with --cpp or --shape".into()
        );
    }
    let others = ["-c", "-E", "-S", "-shared", "-fsyntax-only"];
    let with_value = ["-o", "-x", "-M", "-l", "-L", "-Wl,"];
    if others.contains(&text) || with_value.iter().any(|start| text.starts_with(start)) {
        return Err(
            "expected a flag for compiling, such as -O2 or -DSTACK_SIZE=20000: what is made is the build's".into()
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_for_compiling() {
        for good in ["-O2", "-DSTACK_SIZE=20000", "-fno-exceptions", "-Wno-unused", "-std=c++17", "--param=x=1"] {
            assert_eq!(flag(good).as_deref(), Ok(good));
        }
        for wrong in ["", "-", "O2", "relu.cpp", "-c", "-o", "-ofile", "-E", "-S", "-MD", "-xc", "-lm", "-L.", "-Wl,-s"]
        {
            assert!(flag(wrong).unwrap_err().starts_with("expected a flag"), "{wrong}");
        }
    }

    #[test]
    fn macros_have_names() {
        assert_eq!(macro_flag("TILE=1024").as_deref(), Ok("-DTILE=1024"));
        assert_eq!(macro_flag("_DEBUG").as_deref(), Ok("-D_DEBUG"));
        assert_eq!(macro_flag("TEXT=a=b c").as_deref(), Ok("-DTEXT=a=b c"));
        for wrong in ["", "=1", "1X", "A B=1", "-DX", "f(x)=x"] {
            assert!(macro_flag(wrong).unwrap_err().contains("is not the name of a macro"), "{wrong}");
        }
    }
}
