//! [`Breakpoint`]: where a debugger stops: at the functions of an op's kernel.
//!
//! A kernel with type parameters is several functions, of which a launch runs one, and debuggers do not find those by the name
//! in the source: they are looked up here. Of an op with two phases there are the functions of both.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use gpsimd_codegen::SourceMap;
use gpsimd_emulator::Op;
use object::{Object, ObjectSymbol};

/// Where to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Breakpoint {
    /// At the start of the function with this symbol.
    Function(String),
    /// At a line of a source file.
    Line { file: PathBuf, line: u32 },
}

/// At the kernel's functions in a native library.
pub(super) fn of_native(library: &Path, op: &Op) -> anyhow::Result<Vec<Breakpoint>> {
    let bytes = fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
    let file = object::File::parse(&*bytes).with_context(|| format!("cannot read {}", library.display()))?;
    let symbols: Vec<_> = file.symbols().filter_map(|symbol| symbol.name().ok().map(str::to_owned)).collect();
    let mut found: Vec<_> = phases(op)
        .iter()
        .flat_map(|name| symbols.iter().filter(|symbol| is_kernel(&demangled(symbol), name)))
        .cloned()
        .map(Breakpoint::Function)
        .collect();
    found.dedup();
    ensure!(!found.is_empty(), "{} has no function `{}`: give --break FILE:LINE", library.display(), op.name());
    Ok(found)
}

/// At the kernel's functions in the C++ of an op package in `folder`.
pub(super) fn of_package(folder: &Path, op: &Op) -> anyhow::Result<Vec<Breakpoint>> {
    let path = folder.join("source_map.json");
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let map: SourceMap = serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))?;
    let mut found = Vec::new();
    for name in phases(op) {
        // Shape functions are in a file of their own.
        let sources = map.sources.iter().filter(|(file, _)| !file.ends_with("_shape.cpp"));
        let of_op = sources.flat_map(|(file, functions)| functions.iter().map(move |function| (file, function)));
        let of_op: Vec<_> = of_op.filter(|(_, function)| function.ops.contains(&name)).collect();
        let of_kernel = |is_it: &dyn Fn(&str) -> bool| {
            let is_it = |rust: &Option<String>| rust.as_deref().is_some_and(is_it);
            let found = of_op.iter().filter(|(_, function)| is_it(&function.rust));
            let at = |(file, function): &(&String, &gpsimd_codegen::SourceFunction)| Breakpoint::Line {
                file: folder.join(file),
                line: function.lines.0 as u32,
            };
            found.map(at).collect::<Vec<_>>()
        };
        let mut own = of_kernel(&|rust| is_kernel(rust, &name));
        if own.is_empty() {
            // The optimiser has made it part of what calls it.
            own = of_kernel(&|rust| rust.ends_with("__GpsimdOp as gpsimd::ops::Op>::call"));
        }
        found.extend(own);
    }
    ensure!(!found.is_empty(), "{} has no function of `{}`: give --break FILE:LINE", folder.display(), op.name());
    Ok(found)
}

/// At a line that was given as `FILE:LINE`, with the file in one of the folders. Debuggers get whole paths: this program, too, has
/// files of the names that every crate has.
pub(super) fn at(text: &str, folders: &[&Path]) -> anyhow::Result<Breakpoint> {
    let parsed = text.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse::<u32>().ok()?)));
    let (file, line) = parsed
        .filter(|(file, line)| !file.is_empty() && *line > 0)
        .with_context(|| format!("--break {text}: expected FILE:LINE, such as src/lib.rs:29"))?;
    let found = folders.iter().find_map(|folder| folder.join(file).canonicalize().ok());
    let file = found.with_context(|| {
        let places: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        format!("--break {text}: there is no file {file} in {}", places.join(" or "))
    })?;
    Ok(Breakpoint::Line { file, line })
}

/// Names of the kernel's functions: of the op, and of its second phase.
fn phases(op: &Op) -> Vec<String> {
    let second = op.descriptor().then.as_ref().map(|then| then.op.clone());
    [op.name().to_owned()].into_iter().chain(second).collect()
}

/// Without hash and type arguments.
fn demangled(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

/// Whether a path is that of a kernel called `name`, in a crate that is not the SDK's or the language's.
fn is_kernel(path: &str, name: &str) -> bool {
    let path = path.split_once("::<").map_or(path, |(path, _)| path);
    let Some((module, last)) = path.rsplit_once("::") else { return false };
    let root = module.split("::").next().unwrap_or_default();
    last == name && !path.starts_with('<') && !["gpsimd", "core", "alloc", "std"].contains(&root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_told_from_what_has_its_name_elsewhere() {
        for path in ["my_ops::silu", "my_ops::activation::silu", "my_ops::silu::<f32>"] {
            assert!(is_kernel(path, "silu"), "{path}");
        }
        let others = [
            "silu",
            "gpsimd::walk::silu",
            "my_ops::silu::{{closure}}",
            "my_ops::silu_backward",
            "<my_ops::silu::_::__GpsimdOp as gpsimd::ops::Op>::call",
        ];
        for path in others {
            assert!(!is_kernel(path, "silu"), "{path}");
        }
        assert_eq!(demangled("_ZN6my_ops4silu17h1216875d0df40005E"), "my_ops::silu");
    }

    #[test]
    fn a_line_is_a_file_and_a_number() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let at = |text| at(text, &[Path::new("/nowhere"), folder]);
        let file = folder.join("src/lib.rs").canonicalize().unwrap();
        assert_eq!(at("src/lib.rs:29").unwrap(), Breakpoint::Line { file, line: 29 });
        for text in ["src/lib.rs", "29", ":29", "src/lib.rs:0", "src/lib.rs:x"] {
            assert!(at(text).unwrap_err().to_string().contains("expected FILE:LINE"), "{text}");
        }
        assert!(at("src/none.rs:29").unwrap_err().to_string().contains("there is no file src/none.rs in /nowhere or "));
    }
}
