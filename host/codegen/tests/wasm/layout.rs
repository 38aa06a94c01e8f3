//! [`Layout`]: what a module exports, read independently of the generator, and the C interface to its emitted C++.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use wasmparser::{ExternalKind, FuncType, Operator, Parser, Payload, TypeRef, ValType};

const PAGE: usize = 64 * 1024;

/// A module from outside.
#[derive(Default)]
pub(crate) struct Layout {
    memory_bytes: usize,
    /// By the name of the export.
    pub(crate) functions: BTreeMap<String, Function>,
    /// Indices of the mutable globals by the name of the export; none if they have other names too.
    pub(crate) globals: BTreeMap<String, u32>,
}

/// An exported function.
pub(crate) struct Function {
    pub(crate) index: u32,
    pub(crate) operands: Vec<ValType>,
    pub(crate) results: Vec<ValType>,
    /// Its body grows the memory.
    pub(crate) grows_memory: bool,
    /// Its body reads, writes or measures the memory.
    pub(crate) uses_memory: bool,
}

impl Layout {
    /// Reads a module that the generator accepted.
    ///
    /// # Errors
    /// When it needs other modules than the specification's test host.
    pub(crate) fn read(wasm: &[u8]) -> Result<Self, String> {
        let mut layout = Self::default();
        let mut types: Vec<FuncType> = Vec::new();
        let mut functions = Vec::new();
        let mut imports = 0;
        let mut mutable_globals = Vec::new();
        let mut exports = Vec::new();
        let mut bodies = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.expect("read before") {
                Payload::TypeSection(section) => {
                    types.extend(section.into_iter_err_on_gc_types().map(|ty| ty.expect("read before")));
                }
                Payload::ImportSection(section) => {
                    for import in section {
                        let import = import.expect("read before");
                        let TypeRef::Func(ty) = import.ty else { unreachable!("read before") };
                        if import.module != "spectest" {
                            return Err("functions of another module".to_owned());
                        }
                        functions.push(ty);
                        imports += 1;
                    }
                }
                Payload::FunctionSection(section) => {
                    functions.extend(section.into_iter().map(|ty| ty.expect("read before")));
                }
                Payload::MemorySection(section) => {
                    let memories = section.into_iter().map(|memory| memory.expect("read before"));
                    layout.memory_bytes = memories.map(|memory| memory.initial as usize * PAGE).sum();
                }
                Payload::GlobalSection(section) => {
                    mutable_globals.extend(section.into_iter().map(|global| global.expect("read before").ty.mutable));
                }
                Payload::ExportSection(section) => {
                    exports.extend(section.into_iter().map(|export| export.expect("read before")));
                }
                Payload::CodeSectionEntry(body) => bodies.push(body),
                // Fields of the instance have the names of their globals, if these have any.
                Payload::CustomSection(section) if section.name() == "name" => mutable_globals.clear(),
                _ => {}
            }
        }
        for export in exports {
            let index = export.index as usize;
            match export.kind {
                ExternalKind::Global if mutable_globals.get(index) == Some(&true) => {
                    layout.globals.insert(export.name.to_owned(), export.index);
                }
                ExternalKind::Func => {
                    let ty = &types[functions[index] as usize];
                    let mut function = Function {
                        index: export.index,
                        operands: ty.params().to_vec(),
                        results: ty.results().to_vec(),
                        grows_memory: false,
                        uses_memory: false,
                    };
                    if index >= imports {
                        function.look_into(&bodies[index - imports]);
                    }
                    layout.functions.insert(export.name.to_owned(), function);
                }
                _ => {}
            }
        }
        Ok(layout)
    }

    /// Makes instances, and reaches their parts; the same for all modules. `names` are the functions' in C++.
    pub(crate) fn cpp(&self, id: usize, names: &[String]) -> String {
        let bytes = self.memory_bytes;
        let mut text = format!(
            r#"extern "C" void* m{id}_new() {{
  Instance* w = (Instance*)__builtin_calloc(1, sizeof(Instance));
  w->memory = (u8*)__builtin_calloc(1, {bytes}u + 1);
  w->memory_bytes = {bytes}u;
  return w;
}}
extern "C" void m{id}_delete(void* w) {{
  __builtin_free(((Instance*)w)->memory);
  __builtin_free(w);
}}
extern "C" void m{id}_instantiate(void* w, const u64*, u64*) {{ instantiate(*(Instance*)w, ((Instance*)w)->memory); }}
extern "C" u8* m{id}_memory(void* w) {{ return ((Instance*)w)->memory; }}
extern "C" u64 m{id}_memory_bytes(void* w) {{ return ((Instance*)w)->memory_bytes; }}
"#
        );
        // One function or global may be exported under several names.
        let functions: BTreeMap<_, _> = self.functions.values().map(|function| (function.index, function)).collect();
        for function in functions.values() {
            text += &function.cpp(id, &names[function.index as usize]);
        }
        for global in self.globals.values().collect::<BTreeSet<_>>() {
            let _ = writeln!(
                text,
                r#"extern "C" void m{id}_global{global}(void* w, const u64*, u64* results) {{
  results[0] = to_bits(((Instance*)w)->global_{global});
}}"#
            );
        }
        text
    }
}

impl Function {
    fn look_into(&mut self, body: &wasmparser::FunctionBody) {
        for operator in body.get_operators_reader().expect("read before") {
            match operator.expect("read before") {
                Operator::MemoryGrow { .. } => self.grows_memory = true,
                operator => {
                    let name = format!("{operator:?}");
                    self.uses_memory |= ["Load", "Store", "Memory"].iter().any(|kind| name.contains(kind));
                }
            }
        }
    }

    /// The function `name` behind an interface that is the same for all types.
    fn cpp(&self, id: usize, name: &str) -> String {
        let mut call = format!("{name}(w, w.memory");
        for (i, ty) in self.operands.iter().enumerate() {
            let _ = write!(call, ", Bits<{}>::from(operands[{i}])", cpp_type(*ty));
        }
        call.push(')');
        let mut body = match self.results.len() {
            0 => format!("{call};"),
            1 => format!("results[0] = to_bits({call});"),
            _ => format!("auto all = {call};"),
        };
        if self.results.len() > 1 {
            for i in 0..self.results.len() {
                let _ = write!(body, " results[{i}] = to_bits(all.r{i});");
            }
        }
        let index = self.index;
        format!(
            r#"extern "C" void m{id}_function{index}(void* instance, const u64* operands, u64* results) {{
  Instance& w = *(Instance*)instance;
  (void)operands, (void)results;
  close_calls(w, 0);
  {body}
}}
"#
        )
    }
}

fn cpp_type(ty: ValType) -> &'static str {
    match ty {
        ValType::I32 => "u32",
        ValType::I64 => "u64",
        ValType::F32 => "f32",
        ValType::F64 => "f64",
        _ => unreachable!("refused"),
    }
}
