//! [`Names`]: what functions, globals and types are called in C++.

use std::collections::BTreeSet;

use wasmparser::ValType;

use crate::function::type_name;
use crate::module::Module;

/// C++ names.
#[derive(Default)]
pub(crate) struct Names {
    pub(super) functions: Vec<String>,
    globals: Vec<String>,
}

impl Names {
    pub(super) fn of(module: &Module<'_>) -> Self {
        let mut taken = BTreeSet::new();
        let mut functions: Vec<String> = module
            .imports
            .iter()
            .map(|import| identifier(&format!("import_{}_{}", import.module, import.name)))
            .collect();
        for index in module.import_count()..module.function_count() {
            let path = module.path(index).unwrap_or_else(|| format!("function_{index}"));
            functions.push(unique(identifier(&path), index, &mut taken));
        }
        let mut taken = BTreeSet::from(
            ["memory", "memory_bytes", "host", "open_calls", "panic_stack", "panic_stack_bytes"].map(String::from),
        );
        let globals = (0..module.globals.len() as u32).map(|index| {
            let name = module.global_names.get(&index).map_or_else(|| format!("global_{index}"), ToString::to_string);
            unique(identifier(&name), index, &mut taken)
        });
        Self { functions, globals: globals.collect() }
    }

    pub(crate) fn function(&self, index: u32) -> &str {
        &self.functions[index as usize]
    }

    pub(crate) fn global(&self, index: u32) -> &str {
        &self.globals[index as usize]
    }
}

/// The struct of several results.
pub(crate) fn results_name(types: &[ValType]) -> String {
    types.iter().fold("Results".into(), |name, ty| name + "_" + type_name(*ty))
}

/// Letters, digits and single `_` of a Rust path: no name that C++ keeps for itself.
fn identifier(path: &str) -> String {
    let mut name = String::new();
    for c in path.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => name.push(c),
            _ if name.is_empty() || name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    let name = name.trim_end_matches('_');
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        format!("f_{name}")
    } else {
        name.to_string()
    }
}

fn unique(name: String, index: u32, taken: &mut BTreeSet<String>) -> String {
    // Words of C++, and of the prelude, which are all lower case without a path.
    let name = if name.contains('_') { name } else { format!("{name}_") };
    let name = if taken.contains(&name) { format!("{name}_{index}") } else { name };
    taken.insert(name.clone());
    name
}

/// The type that a function of these results returns.
pub(super) fn result_type(results: &[ValType]) -> String {
    match results {
        [] => "void".into(),
        [one] => type_name(*one).into(),
        several => results_name(several),
    }
}

/// The declaration of a function.
pub(super) fn signature(module: &Module<'_>, names: &Names, index: u32) -> String {
    let ty = module.function_type(index);
    let operands = ty.params().iter().fold(String::new(), |text, ty| text + ", " + type_name(*ty));
    format!("static {} {}(Instance&, u8* __restrict{operands})", result_type(ty.results()), names.function(index))
}
