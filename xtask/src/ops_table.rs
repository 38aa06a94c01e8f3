//! `cargo xtask ops-table`: the tables of the bundled ops in README and book, from the libraries' descriptors.
//!
//! A table stands between two comments, `<!-- ops: LIBRARY -->` (or `<!-- ops -->` for the short one of all libraries) and
//! `<!-- /ops -->`. What is between them is written by this command, and verified by `cargo xtask test lint`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use cargo_gpsimd::build;
use gpsimd_emulator::OpLibrary;
use gpsimd_emulator::gpsimd_descriptor::{
    ElementType, Formula, LibraryDescriptor, OpDescriptor, OperandKind, ReturnedType,
};

use crate::workspace;

const OPEN: &str = "<!-- ops";
const CLOSE: &str = "<!-- /ops -->";
const PAGES: [&str; 2] = ["README.md", "docs/src/reference/pytorch.md"];

/// Write the tables of ops in README and book from the descriptors of the bundled op libraries.
///
/// A table stands between `<!-- ops: LIBRARY -->` and `<!-- /ops -->`; `cargo xtask test lint` fails while one is not what
/// this command writes.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask ops-table\n\
\x20 cargo xtask ops-table --check")]
pub(crate) struct OpsTable {
    /// Write nothing, and fail if a table is not current
    #[arg(long)]
    check: bool,
}

impl OpsTable {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        for (page, is_now, is_to_be) in pages()? {
            if is_now == is_to_be {
                continue;
            }
            ensure!(!self.check, "{page}: a table of ops is not current: run `cargo xtask ops-table`");
            fs::write(path(page), is_to_be).with_context(|| format!("cannot write {page}"))?;
            eprintln!("ops-table: {page} written");
        }
        Ok(())
    }
}

/// Fails if a table is not what the command would write.
pub(crate) fn check() -> anyhow::Result<()> {
    OpsTable { check: true }.run()
}

fn path(page: &str) -> PathBuf {
    workspace::root().join(page)
}

/// Every page with what it is and what it is to be.
fn pages() -> anyhow::Result<Vec<(&'static str, String, String)>> {
    let mut libraries = Vec::new();
    for folder in workspace::BUNDLED {
        let file = build::native_library(&workspace::op_crate(folder)?)?;
        libraries.push(OpLibrary::load(&file)?.descriptor().clone());
    }
    let page = |page| {
        let text = fs::read_to_string(path(page)).with_context(|| format!("cannot read {page}"))?;
        let filled = filled(&text, &libraries).with_context(|| page)?;
        Ok((page, text, filled))
    };
    PAGES.into_iter().map(page).collect()
}

/// A page with its tables as they are to be.
fn filled(page: &str, libraries: &[LibraryDescriptor]) -> anyhow::Result<String> {
    let mut missing: BTreeSet<_> = libraries.iter().map(|library| library.name.as_str()).collect();
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, after) = after.split_once("-->").context("a comment `<!-- ops` is not closed")?;
        let (_, after) = after.split_once(CLOSE).with_context(|| format!("no `{CLOSE}` after `{OPEN}{name}-->`"))?;
        let table = match name.trim().trim_start_matches(':').trim() {
            "" => {
                missing.clear();
                short(libraries)
            }
            name => {
                missing.remove(name);
                let library = libraries.iter().find(|library| library.name == name);
                table(library.with_context(|| format!("`{OPEN}: {name} -->`: no bundled library has this name"))?)
            }
        };
        write!(text, "{before}{OPEN}{name}-->\n\n{table}\n{CLOSE}")?;
        rest = after;
    }
    if let Some(name) = missing.first() {
        bail!("no table has the ops of `{name}`: add `{OPEN}: {name} -->` and `{CLOSE}`");
    }
    Ok(text + rest)
}

/// A row for each library.
fn short(libraries: &[LibraryDescriptor]) -> String {
    let mut table = "| library | ops |\n|---|---|\n".to_owned();
    for library in libraries {
        let names: Vec<_> = called(library).map(|op| format!("`{}`", op.name)).collect();
        let _ = writeln!(table, "| `{}` | {} |", library.name, names.join(", "));
    }
    table
}

/// A row for each op.
fn table(library: &LibraryDescriptor) -> String {
    let mut table =
        format!("| `{}` | outputs | element types | gradient of | computes |\n|---|---|---|---|---|\n", library.name);
    for op in called(library) {
        let operands: Vec<_> = op.operands.iter().map(|operand| operand.name.as_str()).collect();
        let outputs: Vec<_> = outputs(library, op);
        let gradients: Vec<_> = gradients(library, op);
        let _ = writeln!(
            table,
            "| `{}({})` | {} | {} | {} | {} |",
            op.name,
            operands.join(", "),
            outputs.join(", "),
            types(op),
            gradients.join(", "),
            computes(&op.doc),
        );
    }
    table
}

/// The ops that people call: neither second phases nor what only computes the gradient of another.
fn called(library: &LibraryDescriptor) -> impl Iterator<Item = &OpDescriptor> {
    let behind = |op: &OpDescriptor| {
        library.ops.iter().any(|other| {
            let is_second_phase = other.then.as_ref().is_some_and(|then| then.op == op.name);
            let computes = |formula: &Formula| matches!(formula, Formula::Op { op: name, .. } if *name == op.name);
            let is_gradient =
                other.name != op.name && other.gradients.iter().any(|gradient| computes(&gradient.formula));
            // One with a gradient of its own is called by people, too, unless its name says what it is.
            let is_gradient = is_gradient && (op.gradients.is_empty() || op.name.ends_with("_backward"));
            is_second_phase || is_gradient
        })
    };
    library.ops.iter().filter(move |op| !behind(op))
}

/// The op whose outputs and gradients PyTorch sees: the second phase, if there is one.
fn seen<'a>(library: &'a LibraryDescriptor, op: &'a OpDescriptor) -> &'a OpDescriptor {
    let then = op.then.as_ref().and_then(|then| library.ops.iter().find(|other| other.name == then.op));
    then.unwrap_or(op)
}

fn outputs(library: &LibraryDescriptor, op: &OpDescriptor) -> Vec<String> {
    let text = |output: &gpsimd_emulator::gpsimd_descriptor::OutputDescriptor| {
        let dtype = match (output.returned, output.element) {
            (Some(ReturnedType::Int64), _) => " int64",
            (Some(ReturnedType::Bool), _) => " bool",
            (None, ElementType::Fixed(dtype)) => return format!("{} {}", output.name, dtype.name()),
            (None, _) => "",
        };
        format!("{}{dtype}", output.name)
    };
    seen(library, op).outputs.iter().map(text).collect()
}

fn gradients<'a>(library: &'a LibraryDescriptor, op: &'a OpDescriptor) -> Vec<&'a str> {
    let gradients = if op.gradients.is_empty() { &seen(library, op).gradients } else { &op.gradients };
    gradients.iter().flat_map(|gradient| gradient.operands.iter().map(String::as_str)).collect()
}

/// The element types of a kernel's type parameters, and of the tensors that have none.
fn types(op: &OpDescriptor) -> String {
    let parameters = op.types.iter().map(|parameter| {
        let names: Vec<_> = parameter.dtypes.iter().map(|dtype| dtype.name()).collect();
        if names.len() > 4 { "any".to_owned() } else { names.join(" ") }
    });
    let fixed = op.operands.iter().filter_map(|operand| match operand.kind {
        OperandKind::Tensor(ElementType::Fixed(dtype)) => Some(format!("{} {}", operand.name, dtype.name())),
        _ => None,
    });
    parameters.chain(fixed).collect::<Vec<_>>().join("; ")
}

/// What an op computes, and the shapes, in the first words of a doc comment and of its paragraph that begins with a shape.
fn computes(doc: &str) -> String {
    let mut paragraphs = doc.split("\n\n");
    let what = beginning(paragraphs.next().unwrap_or_default(), &[". ", ": ", "; "]);
    let is_of_shapes = |paragraph: &&str| paragraph.split_once(": ").is_some_and(|(_, shape)| shape.starts_with("`["));
    match paragraphs.find(is_of_shapes) {
        Some(shapes) => format!("{what}. {}", beginning(shapes, &[". "])),
        None => what,
    }
}

/// A paragraph up to the first of `ends`, in a line.
fn beginning(paragraph: &str, ends: &[&str]) -> String {
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = ends.iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
    line[..end].trim_end_matches(['.', ':', ';']).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_op_computes_is_its_first_words_and_its_shapes() {
        assert_eq!(computes("y = x^2: the square.\n\nBut for 0.\n\nx: `[N]`. f32"), "y = x^2. x: `[N]`");
        assert_eq!(computes("One step of\nAdamW."), "One step of AdamW");
        assert_eq!(computes("a | b"), "a \\| b");
    }

    #[test]
    fn a_page_without_the_table_of_a_library_is_an_error() {
        let library = LibraryDescriptor { name: "my_ops".into(), version: "1".into(), tcm_bytes: 4096, ops: vec![] };
        let error = |page: &str| filled(page, std::slice::from_ref(&library)).unwrap_err().to_string();
        assert_eq!(error("text"), "no table has the ops of `my_ops`: add `<!-- ops: my_ops -->` and `<!-- /ops -->`");
        assert!(error("<!-- ops: your_ops --><!-- /ops -->").contains("no bundled library has this name"));
        assert!(error("<!-- ops: my_ops -->").contains("no `<!-- /ops -->`"));
        let page = "a\n<!-- ops: my_ops -->\nold\n<!-- /ops -->\nb";
        let filled = filled(page, &[library]).expect("a table");
        assert!(
            filled.starts_with("a\n<!-- ops: my_ops -->\n\n| `my_ops`") && filled.ends_with("<!-- /ops -->\nb"),
            "{filled}"
        );
        assert!(!filled.contains("old"));
    }
}
