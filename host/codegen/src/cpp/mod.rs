//! A module as C++: the instance, data, globals, and its functions, without the prelude they are written in.

mod call_graph;
mod instance;
mod names;
mod source;
mod wrappers;

pub(crate) use instance::RED_ZONE;
pub(crate) use names::{Names, results_name};
pub(crate) use source::Source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use crate::error::ImageError;
use crate::function::{lower, print};
use crate::module::{Module, PAGE};
use call_graph::{Functions, calls, recursive, stack_use};
use instance::instance;
use names::{result_type, signature};
use wrappers::{guarded, indirect_call, result_types};

/// What comes before every emitted source: WebAssembly's instructions in C++14.
pub const PRELUDE: &str = include_str!("prelude.hpp");

/// How C++ is emitted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Check every access to memory, and trap outside of it. Rust promises that kernels need none.
    pub bounds_checks: bool,
    /// The global that is the stack pointer, checked whenever it is moved.
    pub stack: Option<u32>,
    /// How many calls of recursive functions may be open; a call more traps. As many as the machine's stack takes if `None`.
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
    /// What comes first: the instance and what fills and checks it.
    pub(crate) instance: String,
    /// The functions, which call imports.
    pub(crate) code: Source,
    /// Where in `code` the functions are.
    pub(crate) definitions: Vec<Definition>,
    /// The C++ name of every function; imports are called by the name here and defined by whoever includes the source.
    pub functions: Vec<String>,
    /// What every function that was emitted may call, imports among it.
    calls: BTreeMap<u32, BTreeSet<u32>>,
    /// Bytes that calls can take of the stack at most, by function; none where calls may be recursive.
    stack: BTreeMap<u32, Option<u32>>,
}

/// Where a function is in an emitted source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name in C++.
    pub function: String,
    /// The Rust path, of one that comes from a function.
    pub rust: Option<String>,
    /// Its lines, counted from 1.
    pub lines: RangeInclusive<usize>,
    /// Its hot loops, in order.
    pub hot_loops: Vec<HotLines>,
}

/// Where a hot loop is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotLines {
    /// Its lines, counted from 1.
    pub lines: RangeInclusive<usize>,
    /// Elements of a vector of what it computes with.
    pub lanes: usize,
}

impl Definition {
    /// Where it is when `lines` come before all of the source.
    pub(crate) fn below(&self, lines: usize) -> Self {
        let moved = |range: &RangeInclusive<usize>| range.start() + lines..=range.end() + lines;
        Self {
            function: self.function.clone(),
            rust: self.rust.clone(),
            lines: moved(&self.lines),
            hot_loops: self
                .hot_loops
                .iter()
                .map(|hot| HotLines { lines: moved(&hot.lines), lanes: hot.lanes })
                .collect(),
        }
    }
}

/// Why a module is not emitted, and the root that needs what is wrong.
pub(crate) struct Refused {
    pub(crate) root: u32,
    pub(crate) error: ImageError,
}

impl Emitted {
    /// All of the text.
    pub fn source(&self) -> String {
        [&self.instance, self.code.text()].concat()
    }

    /// A function and all that it may call, imports among it.
    pub(crate) fn reached_from(&self, root: u32) -> BTreeSet<u32> {
        let (mut reached, mut pending) = (BTreeSet::new(), vec![root]);
        while let Some(index) = pending.pop() {
            if reached.insert(index) {
                pending.extend(self.calls.get(&index).into_iter().flatten());
            }
        }
        reached
    }

    /// The deepest that the stack gets in a call of a function, in bytes; none where calls may be recursive.
    pub(crate) fn stack_of(&self, function: u32) -> Option<u32> {
        self.stack.get(&function).copied().flatten()
    }
}

/// Prints a module.
///
/// The source defines `struct Instance`, `static void instantiate(Instance& w, u8* __restrict m)`, and every function as
/// `static R name(Instance& w, u8* __restrict m, operands...)`, where `m` is the memory, `w.memory_bytes` long.
///
/// # Errors
/// When a function has an instruction that no C++ is generated for.
pub fn emit(module: &Module<'_>, options: &Options) -> Result<Emitted, ImageError> {
    emit_roots(module, options).map_err(|refused| refused.error)
}

/// [`emit`], which says whose fault an error is.
pub(crate) fn emit_roots(module: &Module<'_>, options: &Options) -> Result<Emitted, Refused> {
    let names = Names::of(module);
    let functions = lower_roots(module, &names, options)?;
    let stack = stack_use(module, &functions);
    let recursive = match options.deepest_recursion {
        Some(_) => recursive(module, &functions),
        None => BTreeSet::new(),
    };
    let limit = options.deepest_recursion.filter(|_| !recursive.is_empty());
    let instance = format!("{LANES}\n{}", instance(module, &names, options, limit));

    let mut code = Source::default();
    code.append(FUNCTIONS);
    code.append(&result_types(module));
    for index in functions.keys() {
        let _ = writeln!(code, "{};", signature(module, &names, *index));
    }
    code.append("\n");
    let table_types: BTreeSet<u32> =
        functions.values().flat_map(|function| &function.indirect_calls).copied().collect();
    for ty in table_types {
        code.append(&indirect_call(module, &names, ty));
    }
    let (mut definitions, mut called) = (Vec::new(), BTreeMap::new());
    for (index, function) in functions {
        called.insert(index, calls(module, &function));
        let rust = module.path(index);
        if let Some(path) = &rust {
            let _ = writeln!(code, "// {path}");
        }
        let (ty, name) = (module.function_type(index), names.function(index));
        let vectors = options.count.iter().flatten().filter(|(function, _)| function == name);
        let vectors = vectors.map(|(_, place)| *place).collect();
        let is_recursive = recursive.contains(&index);
        let unguarded = if is_recursive { format!("unguarded_{index}") } else { name.into() };
        let head = format!("static {} {unguarded}", result_type(ty.results()));
        let first = code.next_line();
        let hot_loops = print(&mut code, function, &head, &names, &vectors);
        if is_recursive {
            code.append(&guarded(ty, name, &unguarded));
        }
        definitions.push(Definition { function: name.into(), rust, lines: first..=code.next_line() - 1, hot_loops });
        code.append("\n");
    }
    Ok(Emitted { instance, code, definitions, functions: names.functions, calls: called, stack })
}

/// Lowers the roots, and all that they call.
fn lower_roots(module: &Module<'_>, names: &Names, options: &Options) -> Result<Functions, Refused> {
    let mut functions = BTreeMap::new();
    let roots = if options.roots.is_empty() {
        (module.import_count()..module.function_count()).collect()
    } else {
        options.roots.clone()
    };
    for root in roots {
        let mut pending = vec![root];
        while let Some(index) = pending.pop() {
            if index < module.import_count() || functions.contains_key(&index) {
                continue;
            }
            let function = lower(module, names, options, index).map_err(|error| Refused { root, error })?;
            pending.extend(calls(module, &function));
            functions.insert(index, function);
        }
    }
    Ok(functions)
}

/// What stands before the functions, and after what they are written with.
const FUNCTIONS: &str = "// ---- Functions, with the Rust paths they come from ----\n// A loop over a row that may run \
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

const _: () = assert!(PAGE == 65_536, "memory.size is printed as a shift by 16");
