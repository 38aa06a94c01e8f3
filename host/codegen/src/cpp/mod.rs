//! A module as C++: the instance, data, globals, and its functions, without the prelude they are written in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use wasmparser::{FuncType, ValType};

use crate::error::ImageError;
use crate::function::{f32_text, f64_text, lower, print, type_name, u32_text, u64_text};
use crate::module::{Constant, Module, PAGE};

/// What comes before every emitted source: WebAssembly's instructions in C++14.
pub const PRELUDE: &str = include_str!("prelude.hpp");

/// How C++ is emitted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Check every access to memory, and trap outside of it. Rust promises that kernels need none.
    pub bounds_checks: bool,
    /// The global that is the stack pointer, checked whenever it is moved.
    pub stack: Option<u32>,
    /// How many calls of functions that recur may be open; a call more traps. As many as the machine's stack takes if `None`.
    pub deepest_recursion: Option<u32>,
    /// Functions to emit, with all that they call; all functions if there are none.
    pub roots: Vec<u32>,
    /// Count the operations of every basic block in `gpsimd_operations_here`: those of these hot loops, by function and place
    /// in it, as operations of vectors.
    pub count: Option<BTreeSet<(String, usize)>>,
    /// The part of the memory that `instantiate` sets to zero before it copies data; memory that is all zero needs none.
    pub zeroed: std::ops::Range<u32>,
}

/// A module as C++.
pub struct Emitted {
    /// The text.
    pub source: String,
    /// The C++ name of every function; imports are called by the name here and defined by whoever includes the source.
    pub functions: Vec<String>,
    /// Functions that were emitted, in order.
    pub emitted: Vec<u32>,
    /// Imports that are called.
    pub imports: BTreeSet<u32>,
    /// Bytes that calls can take of the stack at most, by function; none where calls may recur.
    pub stack: BTreeMap<u32, Option<u32>>,
}

/// Prints a module.
///
/// The source defines `struct Instance`, `static void instantiate(Instance& w, u8* __restrict m)`, and every function as
/// `static R name(Instance& w, u8* __restrict m, operands...)`, where `m` is the memory, `w.memory_bytes` long.
///
/// # Errors
/// When a function has an instruction that no C++ is generated for.
pub fn emit(module: &Module<'_>, options: &Options) -> Result<Emitted, ImageError> {
    let names = Names::of(module);
    let mut functions = BTreeMap::new();
    let mut pending: Vec<u32> = if options.roots.is_empty() {
        (module.import_count()..module.function_count()).collect()
    } else {
        options.roots.clone()
    };
    let (mut indirect_types, mut imports) = (BTreeSet::new(), BTreeSet::new());
    while let Some(index) = pending.pop() {
        if index < module.import_count() {
            imports.insert(index);
            continue;
        }
        if functions.contains_key(&index) {
            continue;
        }
        let function = lower(module, &names, options, index)?;
        pending.extend(&function.calls);
        for ty in &function.indirect_calls {
            if indirect_types.insert(*ty) {
                pending.extend(callable(module, *ty).map(|(_, function)| function));
            }
        }
        functions.insert(index, function);
    }
    let stack = stack_use(module, &functions);
    let emitted = functions.keys().copied().collect();
    let recursive = match options.deepest_recursion {
        Some(_) => recursive(module, &functions),
        None => BTreeSet::new(),
    };

    let limit = options.deepest_recursion.filter(|_| !recursive.is_empty());
    let mut source = format!("{LANES}\n{}", instance(module, &names, options, limit));
    source += FUNCTIONS;
    source += &result_types(module);
    for index in functions.keys() {
        let _ = writeln!(source, "{};", signature(module, &names, *index));
    }
    source.push('\n');
    for ty in &indirect_types {
        source += &indirect_call(module, &names, *ty);
    }
    for (index, function) in functions {
        if let Some(path) = module.path(index) {
            let _ = writeln!(source, "// {path}");
        }
        let ty = module.function_type(index);
        let result = result_type(ty.results());
        let name = names.function(index);
        let results = results_name(ty.results());
        let vectors = options.count.iter().flatten().filter(|(function, _)| function == name);
        let vectors = vectors.map(|(_, place)| *place).collect();
        if recursive.contains(&index) {
            let unguarded = format!("unguarded_{index}");
            source += &print(function, &format!("static {result} {unguarded}"), &results, &vectors);
            source += &guarded(ty, name, &unguarded);
        } else {
            source += &print(function, &format!("static {result} {name}"), &results, &vectors);
        }
        source.push('\n');
    }
    Ok(Emitted { source, functions: names.functions, emitted, imports, stack })
}

/// C++ names.
pub(crate) struct Names {
    functions: Vec<String>,
    globals: Vec<String>,
}

impl Names {
    fn of(module: &Module<'_>) -> Self {
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

fn result_type(results: &[ValType]) -> String {
    match results {
        [] => "void".into(),
        [one] => type_name(*one).into(),
        several => results_name(several),
    }
}

fn signature(module: &Module<'_>, names: &Names, index: u32) -> String {
    let ty = module.function_type(index);
    let operands = ty.params().iter().fold(String::new(), |text, ty| text + ", " + type_name(*ty));
    format!("static {} {}(Instance&, u8* __restrict{operands})", result_type(ty.results()), names.function(index))
}

/// The struct of the mutable globals, and the function that fills it and the memory.
fn instance(module: &Module<'_>, names: &Names, options: &Options, deepest_recursion: Option<u32>) -> String {
    let mut fields = String::from("  u8* memory;\n  u32 memory_bytes;\n  void* host;\n");
    let mut body = String::new();
    if options.stack.is_some() {
        fields += "  u32 panic_stack, panic_stack_bytes;\n";
    }
    if deepest_recursion.is_some() {
        fields += "  u32 open_calls;\n";
        body += "  w.open_calls = 0u;\n";
    }
    for (index, global) in module.globals.iter().enumerate().filter(|(_, global)| global.mutable) {
        let name = names.global(index as u32);
        let value = match global.init {
            Constant::I32(value) => u32_text(value),
            Constant::I64(value) => u64_text(value),
            Constant::F32(bits) => f32_text(bits),
            Constant::F64(bits) => f64_text(bits),
        };
        let _ = writeln!(fields, "  {} {name};", type_name(global.ty));
        let _ = writeln!(body, "  w.{name} = {value};");
    }
    let mut data = String::new();
    for (index, segment) in module.data.iter().enumerate() {
        // The memory is zero before.
        let bytes = segment.bytes;
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if used == 0 {
            continue;
        }
        let _ = writeln!(data, "static const u8 data_{index}[{used}] = {{");
        for line in bytes[..used].chunks(24) {
            let line: Vec<_> = line.iter().map(ToString::to_string).collect();
            let _ = writeln!(data, "  {},", line.join(","));
        }
        data += "};\n";
        let offset = u32_text(segment.offset);
        let _ = writeln!(body, "  __builtin_memcpy(m + {offset}, data_{index}, sizeof data_{index});");
    }
    if !options.zeroed.is_empty() {
        let (start, len) = (u32_text(options.zeroed.start), u32_text(options.zeroed.len() as u32));
        body.insert_str(0, &format!("  __builtin_memset(m + {start}, 0, {len});\n"));
    }
    let (w, m) = (if body.contains("w.") { "w" } else { "" }, if body.contains("m +") { "m" } else { "" });
    let mut text = format!(
        "struct Instance {{\n{fields}}};\n\n{data}\nstatic inline void instantiate(Instance& {w}, u8* __restrict {m}) {{\n{body}}}\n\n"
    );
    if options.bounds_checks {
        text += CHECKS;
    }
    if let Some(stack) = options.stack {
        let top = match module.globals.get(stack as usize).map(|global| global.init) {
            Some(Constant::I32(top)) => top,
            _ => 0,
        };
        let pointer = names.global(stack);
        let most = top.saturating_sub(RED_ZONE);
        let forget_calls = if deepest_recursion.is_some() { "  w.open_calls = 0u;\n" } else { "" };
        let _ = writeln!(
            text,
            r#"// What formats the message of a panic runs on a stack of its own. Whether this is the first panic.
GPSIMD_INLINE u32 start_panic(Instance& w, u32 stack, u32 bytes) {{
  if (w.panic_stack_bytes != 0u) return 0u;
  w.panic_stack = stack;
  w.panic_stack_bytes = bytes;
  w.{pointer} = stack + bytes;
{forget_calls}  return 1u;
}}

__attribute__((unused, noinline, cold)) static void check_panic_stack(const Instance& w) {{
  if (w.panic_stack_bytes == 0u || w.{pointer} - w.panic_stack - {RED_ZONE}u > w.panic_stack_bytes - {RED_ZONE}u) {{
    gpsimd_trap("the stack is exhausted");
  }}
}}

// The stack grows down to 0. What calls nothing may use {RED_ZONE} bytes below the stack pointer.
GPSIMD_INLINE void check_stack(const Instance& w) {{
  if (w.{pointer} - {RED_ZONE}u > {most}u) check_panic_stack(w);
}}
"#,
        );
    }
    if let Some(limit) = deepest_recursion {
        let _ = writeln!(
            text,
            "// Calls of functions that recur take of the processor's stack, whatever they take of the one in memory.\n\
             GPSIMD_INLINE void open_call(Instance& w) {{\n  if (++w.open_calls > {limit}u) gpsimd_trap(\"call stack \
             exhausted: functions call each other more than {limit} deep\");\n}}\n"
        );
    }
    text
}

/// A function that counts how many calls of functions that recur are open.
fn guarded(ty: &FuncType, name: &str, unguarded: &str) -> String {
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

/// What stands before the functions, and after what they are written with.
pub(crate) const FUNCTIONS: &str = "// ---- Functions, with the Rust paths they come from ----\n// A loop over floats that may run \
                                         often says that it is hot: a vectoriser should make vectors of it.\n\n";

/// What stands before a loop over the lanes of a vector.
const LANES: &str = r#"// One vector operation: clang takes it for too short a loop to look at.
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"  // for a CPU without vectors of floats that fuse
#define GPSIMD_LANES _Pragma("clang loop vectorize(enable) unroll(disable)")
#else
#define GPSIMD_LANES
#endif
"#;

/// Bytes below the stack pointer that LLVM's WebAssembly backend lets leaf functions use.
pub(crate) const RED_ZONE: u32 = 128;

const CHECKS: &str = r#"GPSIMD_INLINE u32 check(const Instance& w, u32 a, u32 o, u32 bytes) {
  if (u64(a) + o + bytes > w.memory_bytes) gpsimd_trap("out of bounds memory access");
  return a;
}
GPSIMD_INLINE void memory_copy_checked(const Instance& w, u8* m, u32 d, u32 s, u32 n) {
  if (u64(d) + n > w.memory_bytes || u64(s) + n > w.memory_bytes) gpsimd_trap("out of bounds memory access");
  memory_copy(m, d, s, n);
}
GPSIMD_INLINE void memory_fill_checked(const Instance& w, u8* m, u32 d, u32 v, u32 n) {
  if (u64(d) + n > w.memory_bytes) gpsimd_trap("out of bounds memory access");
  memory_fill(m, d, v, n);
}

"#;

fn result_types(module: &Module<'_>) -> String {
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

/// Functions of type `ty` in the table, with their places.
fn callable(module: &Module<'_>, ty: u32) -> impl Iterator<Item = (usize, u32)> {
    let wanted = &module.types[ty as usize];
    let slots = module.table.iter().enumerate();
    slots.filter_map(|(at, slot)| Some((at, (*slot)?))).filter(move |(_, index)| module.function_type(*index) == wanted)
}

/// A call through the table, which never changes: a switch.
fn indirect_call(module: &Module<'_>, names: &Names, index: u32) -> String {
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

type Functions = BTreeMap<u32, crate::function::Function>;

/// Functions that a function calls, or may call through the table; not those that report a panic, which have a stack of
/// their own and come back to nothing.
fn callees<'a>(module: &'a Module<'_>, function: &'a crate::function::Function) -> impl Iterator<Item = u32> + use<'a> {
    let starts_panic = |index: &u32| {
        module.imports.get(*index as usize).is_some_and(|it| it.module == "gpsimd" && it.name == "start_panic")
    };
    let (calls, indirect_calls) = if function.calls.iter().any(starts_panic) {
        (&[][..], &[][..])
    } else {
        (&function.calls[..], &function.indirect_calls[..])
    };
    let through_table = indirect_calls.iter().flat_map(|ty| callable(module, *ty).map(|(_, index)| index));
    calls.iter().copied().chain(through_table)
}

/// The deepest that the stack can get below every function; none where calls recur.
fn stack_use(module: &Module<'_>, functions: &Functions) -> BTreeMap<u32, Option<u32>> {
    fn depth(
        index: u32,
        module: &Module<'_>,
        functions: &Functions,
        open: &mut BTreeSet<u32>,
        known: &mut BTreeMap<u32, Option<u32>>,
    ) -> Option<u32> {
        let Some(function) = functions.get(&index) else { return Some(0) };
        if let Some(known) = known.get(&index) {
            return *known;
        }
        if !open.insert(index) {
            return None;
        }
        let mut deepest = Some(0);
        for callee in callees(module, function) {
            deepest = deepest.zip(depth(callee, module, functions, open, known)).map(|(a, b)| a.max(b));
        }
        open.remove(&index);
        let total = deepest.map(|below| below.saturating_add(function.frame));
        known.insert(index, total);
        total
    }
    let mut known = BTreeMap::new();
    for index in functions.keys() {
        depth(*index, module, functions, &mut BTreeSet::new(), &mut known);
    }
    known
}

/// Functions that call themselves, through others or not.
fn recursive(module: &Module<'_>, functions: &Functions) -> BTreeSet<u32> {
    let reaches_itself = |index: &u32| {
        let (mut seen, mut pending) = (BTreeSet::new(), vec![*index]);
        while let Some(function) = pending.pop().and_then(|index| functions.get(&index)) {
            for callee in callees(module, function) {
                if callee == *index {
                    return true;
                }
                if functions.contains_key(&callee) && seen.insert(callee) {
                    pending.push(callee);
                }
            }
        }
        false
    };
    functions.keys().copied().filter(reaches_itself).collect()
}

const _: () = assert!(PAGE == 65_536, "memory.size is printed as a shift by 16");
