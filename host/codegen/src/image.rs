//! [`Image`]: the kernel image of an op library: a module, its descriptor, and where its memory is in TCM.

use std::collections::BTreeSet;

use gpsimd_abi::TCM_ALIGN;
use gpsimd_descriptor::limits::{MAX_NAME, MAX_OPS, RESERVED_LIBRARY, TCM_POOL_BYTES};
use gpsimd_descriptor::{IMAGE_SECTION, LibraryDescriptor, POOL_BYTES_EXPORT};

use crate::cpp::RED_ZONE;
use crate::error::ImageError;
use crate::module::{Constant, Module, demangled};

/// A kernel image.
pub struct Image<'a> {
    /// The module.
    pub module: Module<'a>,
    /// The op library that it is of.
    pub descriptor: LibraryDescriptor,
    /// Where its memory is.
    pub memory: MemoryMap,
    /// The two functions of every op, in the order of the descriptor.
    pub ops: Vec<OpFunctions>,
    pub(crate) stack_pointer: u32,
}

/// What is where in a core's block of TCM: the stack from 0, then constants, then the pool of tile buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MemoryMap {
    /// Bytes of the stack.
    pub stack: u32,
    /// Bytes of constants.
    pub constants: u32,
    /// Where the pool starts.
    pub pool_start: u32,
    /// Bytes of the pool.
    pub pool: u32,
    /// Bytes of all of it.
    pub total: u32,
}

/// Indices of the functions of an op.
#[derive(Clone, Copy, Debug)]
pub struct OpFunctions {
    /// Runs one core's part of a launch.
    pub run: u32,
    /// Computes the types of the outputs.
    pub shape: u32,
}

impl MemoryMap {
    /// What is zero at the start of a launch, but for the data that is copied there: the constants.
    pub(crate) const fn zeroed(&self) -> std::ops::Range<u32> {
        self.stack..self.pool_start
    }

    /// What the wrapper asks of `tcm_malloc`, which promises no alignment.
    pub const fn allocation(&self) -> u32 {
        self.total.saturating_add(TCM_ALIGN as u32)
    }
}

impl<'a> Image<'a> {
    /// Reads and verifies a kernel image.
    ///
    /// # Errors
    /// When it is not a module of the subset, has no descriptor, lacks a function, or its memory does not fit in TCM.
    pub fn read(wasm: &'a [u8]) -> Result<Self, ImageError> {
        let module = Module::read(wasm)?;
        let section = module.custom_section(IMAGE_SECTION).ok_or(ImageError::NoDescriptor(IMAGE_SECTION))?;
        let descriptor = LibraryDescriptor::parse(section)
            .map_err(|source| ImageError::Descriptor { section: IMAGE_SECTION, source })?;
        check_vendor_limits(&descriptor)?;
        let (memory, stack_pointer) = memory_map(&module)?;
        let mut ops = Vec::new();
        for op in &descriptor.ops {
            let run = function(&module, &op.name, "run", "() -> i32", 0)?;
            let shape = function(&module, &op.name, "shape", "(i32, i32, i32, i32, i32) -> i32", 5)?;
            ops.push(OpFunctions { run, shape });
        }
        Ok(Self { module, descriptor, memory, ops, stack_pointer })
    }
}

/// Words that no C++ function in the global namespace can be called: C++'s own, and what its headers use.
#[rustfmt::skip]
const CPP_NAMES: &[&str] = &[
    "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "case", "catch", "char", "char16_t",
    "char32_t", "class", "compl", "constexpr", "const_cast", "decltype", "default", "delete", "do", "double",
    "dynamic_cast", "explicit", "export", "float", "friend", "goto", "inline", "int", "long", "mutable", "namespace",
    "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private", "protected", "public",
    "register", "reinterpret_cast", "short", "signed", "sizeof", "static_assert", "static_cast", "switch", "template",
    "this", "thread_local", "throw", "try", "typedef", "typeid", "typename", "union", "unsigned", "using", "virtual",
    "void", "volatile", "wchar_t", "xor", "xor_eq",
    "main", "torch", "at", "c10", "neuron", "std", "NULL", "assert", "errno",
];

/// What the vendor's tools take (custom-ops-ref-guide); `op_library!` says the same earlier.
fn check_vendor_limits(library: &LibraryDescriptor) -> Result<(), ImageError> {
    let limit = |what: String, found: usize, limit: usize, unit, help| {
        let (found, limit) = (found as u64, limit as u64);
        if found <= limit { Ok(()) } else { Err(ImageError::Limit { what, found, limit, unit, help }) }
    };
    limit(
        format!("the number of ops of `{}`", library.name),
        library.ops.len(),
        MAX_OPS,
        "",
        "make two libraries of it",
    )?;
    for op in &library.ops {
        let what = format!("the length of the name `{}`", op.name);
        limit(what, op.name.len(), MAX_NAME, " characters", "give the op a shorter name")?;
    }
    if let Some(op) = library.ops.iter().find(|op| CPP_NAMES.contains(&op.name.as_str())) {
        return Err(ImageError::Name { op: op.name.clone() });
    }
    if library.name == RESERVED_LIBRARY {
        return Err(ImageError::ReservedName(library.name.clone()));
    }
    Ok(())
}

fn function(
    module: &Module<'_>,
    op: &str,
    what: &str,
    expected: &'static str,
    operands: usize,
) -> Result<u32, ImageError> {
    let export = format!("{what}:{op}");
    let found = module.exports().find(|found| found.name == export).map(|found| found.function);
    let fits = |index: &u32| {
        let ty = module.function_type(*index);
        let is_i32 = |ty: &wasmparser::ValType| *ty == wasmparser::ValType::I32;
        ty.params().len() == operands && ty.results().len() == 1 && ty.params().iter().chain(ty.results()).all(is_i32)
    };
    found.filter(fits).ok_or_else(|| ImageError::NoExport { op: op.into(), export, expected })
}

fn memory_map(module: &Module<'_>) -> Result<(MemoryMap, u32), ImageError> {
    let layout = |what: &str| ImageError::Layout { what: what.into() };
    let stack_pointer = module
        .global_names
        .iter()
        .find(|(_, name)| **name == "__stack_pointer")
        .map(|(index, _)| *index)
        .ok_or_else(|| layout("no global is called __stack_pointer"))?;
    let pointer = module.globals.get(stack_pointer as usize).map(|global| (global.init, global.mutable));
    let Some((Constant::I32(stack), true)) = pointer else {
        return Err(layout("the stack pointer is not a variable that starts at a number"));
    };
    let symbol = |name: &str| module.symbol(name).ok_or_else(|| layout(&format!("it does not export {name}")));
    let end = symbol("__heap_base")?;
    let pool = module
        .u32_at(symbol(POOL_BYTES_EXPORT)?)
        .ok_or_else(|| layout(&format!("{POOL_BYTES_EXPORT} does not lead to a number")))?;
    if module.data.iter().any(|data| data.offset < stack) {
        return Err(layout("the stack does not come first in its memory"));
    }
    refuse_writable_statics(module)?;
    if end < stack || module.data.iter().any(|data| data.end() > u64::from(end)) {
        return Err(layout("it has constants before the stack, or behind their end"));
    }
    let pool_start = end.checked_next_multiple_of(TCM_ALIGN as u32).unwrap_or(u32::MAX);
    let total = pool_start.saturating_add(pool);
    let memory = MemoryMap { stack, constants: pool_start - stack, pool_start, pool, total };
    if memory.allocation() > TCM_POOL_BYTES as u32 {
        return Err(ImageError::Limit {
            what: format!(
                "TCM of the library ({} bytes of stack, {} of constants, {} of tile buffers, {TCM_ALIGN} to align)",
                memory.stack, memory.constants, memory.pool
            ),
            found: u64::from(memory.allocation()),
            limit: TCM_POOL_BYTES as u64,
            unit: " bytes",
            help: "give tile buffers less with `tcm: BYTES` in op_library!, or use fewer constants; messages of panics \
                   that show floats take 3 KB of them",
        });
    }
    if memory.stack <= RED_ZONE {
        return Err(layout("the stack is smaller than what leaf functions may use"));
    }
    Ok((memory, stack_pointer))
}

/// A launch starts with what the image says, on every core of its own: what a kernel keeps in a static is lost on the
/// device, or, on a host, seen by the next core.
fn refuse_writable_statics(module: &Module<'_>) -> Result<(), ImageError> {
    let Some(data) = &module.data_symbols else {
        return Err(ImageError::Layout {
            what: "it does not say what its data is: it was linked without --emit-relocs".into(),
        });
    };
    let writable: BTreeSet<String> =
        data.iter().filter(|symbol| symbol.is_writable).map(|symbol| demangled(symbol.name)).collect();
    if writable.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = writable.iter().map(|name| format!("`{name}`")).collect();
    Err(ImageError::WritableStatics { names: names.join(", ") })
}
