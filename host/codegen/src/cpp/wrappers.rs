//! Functions around the module's: calls through the table, and calls that are counted.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use wasmparser::FuncType;

use super::call_graph::callable;
use super::names::{Names, result_type, results_name};
use crate::function::type_name;
use crate::module::Module;

/// The structs of several results.
pub(super) fn result_types(module: &Module<'_>) -> String {
    let mut types = BTreeSet::new();
    for ty in &module.types {
        if ty.results().len() > 1 {
            types.insert(ty.results().to_vec());
        }
    }
    let mut text = String::new();
    for results in types {
        let name = results_name(&results);
        let fields = concat(results.iter().enumerate().map(|(i, ty)| format!(" {} r{i};", type_name(*ty))));
        let _ = writeln!(text, "struct {name} {{{fields} }};");
    }
    text
}

fn concat(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().concat()
}

/// A call through the table, which never changes: a switch.
pub(super) fn indirect_call(module: &Module<'_>, names: &Names, index: u32) -> String {
    let ty = &module.types[index as usize];
    let parameters = concat(ty.params().iter().enumerate().map(|(i, ty)| format!("{} p{i}, ", type_name(*ty))));
    let arguments = concat((0..ty.params().len()).map(|i| format!(", p{i}")));
    let returns = if ty.results().is_empty() { "" } else { "return " };
    let leaves = if ty.results().is_empty() { " return;" } else { "" };
    let mut cases = String::new();
    for (at, function) in callable(module, index) {
        let _ = writeln!(cases, "    case {at}u: {returns}{}(w, m{arguments});{leaves}", names.function(function));
    }
    let is_used = |name: &'static str| if cases.is_empty() { "" } else { name };
    let (w, m) = (is_used("w"), is_used("m"));
    let parameters = if cases.is_empty() {
        ty.params().iter().fold(String::new(), |text, ty| text + type_name(*ty) + ", ")
    } else {
        parameters
    };
    let empty: Vec<_> = (0..module.table.len()).filter(|at| module.table[*at].is_none()).collect();
    let mut failures = String::new();
    for at in empty {
        let _ = writeln!(failures, "    case {at}u: gpsimd_trap(\"uninitialized element\");");
    }
    let outside = match module.table.len() {
        0 => "\"undefined element\"".into(),
        len => format!("at < {len}u ? \"indirect call type mismatch\" : \"undefined element\""),
    };
    format!(
        "static {} call_indirect_{index}(Instance& {w}, u8* __restrict {m}, {parameters}u32 at) {{\n  switch (at) \
         {{\n{cases}{failures}    default: gpsimd_trap({outside});\n  }}\n}}\n\n",
        result_type(ty.results()),
    )
}

/// A function that counts how many calls of recursive functions are open.
pub(super) fn guarded(ty: &FuncType, name: &str, unguarded: &str) -> String {
    let operands: Vec<_> = ty.params().iter().enumerate().map(|(i, ty)| format!(", {} p{i}", type_name(*ty))).collect();
    let passed: Vec<_> = (0..operands.len()).map(|i| format!(", p{i}")).collect();
    let call = format!("{unguarded}(w, m{})", passed.concat());
    let result = result_type(ty.results());
    let (call, end) = match ty.results() {
        [] => (call, ""),
        _ => (format!("const {result} result = {call}"), "  return result;\n"),
    };
    format!(
        "static {result} {name}(Instance& w, u8* __restrict m{}) {{\n  open_call(w);\n  {call};\n  --w.open_calls;\n{end}}}\n",
        operands.concat(),
    )
}
