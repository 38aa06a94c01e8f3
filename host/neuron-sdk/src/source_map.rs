//! [`SourceMap`]: from a line of a generated source back to the Rust function and the ops that run it.

use gpsimd_codegen::Manifest;

/// The functions of a generated source, by line.
pub(super) struct SourceMap {
    functions: Vec<Function>,
}

/// A C++ function of a generated source.
struct Function {
    /// Its first line, counted from 1; the comment above it is another's last.
    line: usize,
    /// The Rust path, of functions that come from one.
    rust: Option<String>,
    /// Ops that run it.
    ops: Vec<String>,
}

impl SourceMap {
    /// The map of a source of the package with that manifest: `// rust::path`, then the function at the start of a line.
    pub(super) fn new(source: &str, manifest: &Manifest) -> Self {
        let lines: Vec<&str> = source.lines().collect();
        let starts = lines.iter().enumerate().filter_map(|(index, line)| {
            let name = defined(line)?;
            let above = index.checked_sub(1).and_then(|above| lines[above].strip_prefix("// "));
            let of = |op: &&gpsimd_codegen::ManifestOp| {
                op.name == name || op.shape_function == name || op.functions.iter().any(|function| function == name)
            };
            let ops: Vec<_> = manifest.ops.iter().filter(of).map(|op| op.name.clone()).collect();
            let is_path = |text: &&str| text.contains("::") && !text.contains(". ");
            let rust = above.filter(is_path).map(str::to_owned);
            Some(Function { line: index + 1, ops, rust })
        });
        Self { functions: starts.collect() }
    }

    /// The Rust function that a line comes from, and the ops that run it; nothing of what is the same in every package.
    pub(super) fn at(&self, line: usize) -> (Option<&str>, &[String]) {
        match self.functions.iter().rev().find(|function| function.line <= line) {
            Some(function) => (function.rust.as_deref(), &function.ops),
            None => (None, &[]),
        }
    }
}

/// The name of the function whose definition starts on this line.
fn defined(line: &str) -> Option<&str> {
    let is_definition = line.ends_with('{') && !line.starts_with([' ', '#', '}', '/']);
    let (before, _) = line.split_once('(').filter(|_| is_definition)?;
    before.rsplit(' ').next()
}
