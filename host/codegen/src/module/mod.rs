//! [`Module`]: a WebAssembly module, read and verified, in the form that the generator needs.

mod linking;
mod refusal;
mod sections;

use std::collections::BTreeMap;

use wasmparser::{FuncType, FunctionBody, Parser, ValType, Validator, WasmFeatures};

use crate::error::ImageError;
use linking::DataSymbol;
use refusal::invalid;

/// Bytes of a WebAssembly page.
pub(crate) const PAGE: u64 = 64 * 1024;

/// A WebAssembly module of the subset that becomes C++: one memory, constant tables of functions, numbers.
pub struct Module<'a> {
    pub(crate) types: Vec<FuncType>,
    pub(crate) imports: Vec<Import<'a>>,
    /// Type of every function, imports first.
    pub(crate) function_types: Vec<u32>,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    pub(crate) globals: Vec<Global>,
    pub(crate) exports: Vec<Export<'a>>,
    /// Pages of the memory; none if there is no memory.
    pub(crate) memory_pages: Option<u64>,
    pub(crate) data: Vec<Data<'a>>,
    /// The function at every index of the table.
    pub(crate) table: Vec<Option<u32>>,
    /// Names of functions, as in the name section.
    names: BTreeMap<u32, &'a str>,
    pub(crate) global_names: BTreeMap<u32, &'a str>,
    /// Exported globals.
    global_exports: BTreeMap<&'a str, u32>,
    pub(crate) custom: Vec<(&'a str, &'a [u8])>,
    /// What the data is of; none if the linker was not told to say it (`--emit-relocs`).
    pub(crate) data_symbols: Option<Vec<DataSymbol<'a>>>,
}

/// A function that the module imports.
pub(crate) struct Import<'a> {
    pub(crate) module: &'a str,
    pub(crate) name: &'a str,
}

/// An exported function.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// Name of the export.
    pub name: &'a str,
    /// Index of the function.
    pub function: u32,
}

pub(crate) struct Global {
    pub(crate) ty: ValType,
    pub(crate) mutable: bool,
    /// C++ expression of its first value.
    pub(crate) init: Constant,
}

/// The value of a constant expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Constant {
    I32(u32),
    I64(u64),
    F32(u32),
    F64(u64),
}

pub(crate) struct Data<'a> {
    pub(crate) offset: u32,
    pub(crate) bytes: &'a [u8],
}

impl Data<'_> {
    pub(crate) const fn end(&self) -> u64 {
        self.offset as u64 + self.bytes.len() as u64
    }
}

const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::GC_TYPES);

impl<'a> Module<'a> {
    /// Reads and validates a module.
    ///
    /// # Errors
    /// When it is not valid, or uses what no C++ is generated for.
    pub fn read(wasm: &'a [u8]) -> Result<Self, ImageError> {
        if !wasm.starts_with(b"\0asm") {
            return Err(ImageError::NoModule);
        }
        Validator::new_with_features(FEATURES).validate_all(wasm).map_err(|error| invalid(wasm, error))?;
        let mut module = Self {
            types: Vec::new(),
            imports: Vec::new(),
            function_types: Vec::new(),
            bodies: Vec::new(),
            globals: Vec::new(),
            exports: Vec::new(),
            memory_pages: None,
            data: Vec::new(),
            table: Vec::new(),
            names: BTreeMap::new(),
            global_names: BTreeMap::new(),
            global_exports: BTreeMap::new(),
            custom: Vec::new(),
            data_symbols: None,
        };
        for payload in Parser::new(0).parse_all(wasm) {
            module.take(payload?)?;
        }
        Ok(module)
    }

    /// Exported functions.
    pub fn exports(&self) -> impl Iterator<Item = Export<'a>> {
        self.exports.iter().copied()
    }

    /// The value of an exported constant: the linker's symbols, addresses.
    pub(crate) fn symbol(&self, name: &str) -> Option<u32> {
        let global = self.globals.get(*self.global_exports.get(name)? as usize)?;
        match global.init {
            Constant::I32(value) if !global.mutable => Some(value),
            _ => None,
        }
    }

    /// The number that the data has at an address.
    pub(crate) fn u32_at(&self, address: u32) -> Option<u32> {
        self.data.iter().find_map(|data| {
            let at = address.checked_sub(data.offset)? as usize;
            let bytes = data.bytes.get(at..at.checked_add(4)?)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        })
    }

    /// The type of function `index`: operands and results.
    pub fn function_type(&self, index: u32) -> &FuncType {
        &self.types[self.function_types[index as usize] as usize]
    }

    /// How many functions there are, imports among them; these come first.
    pub fn function_count(&self) -> u32 {
        self.function_types.len() as u32
    }

    /// How many functions are imports.
    pub fn import_count(&self) -> u32 {
        self.imports.len() as u32
    }

    /// The Rust path of a function, if its name is known.
    pub(crate) fn path(&self, function: u32) -> Option<String> {
        let name = self.names.get(&function)?;
        Some(demangled(name))
    }

    pub(crate) fn place(&self, function: u32) -> String {
        self.path(function).map_or_else(|| format!("function {function}"), |path| format!("function `{path}`"))
    }

    pub(crate) fn body(&self, function: u32) -> Option<&FunctionBody<'a>> {
        self.bodies.get((function as usize).checked_sub(self.imports.len())?)
    }

    /// Bytes of a function's body.
    pub(crate) fn code_bytes(&self, function: u32) -> usize {
        self.body(function).map_or(0, |body| body.range().len())
    }

    /// Content of the custom section `name`.
    pub fn custom_section(&self, name: &str) -> Option<&'a [u8]> {
        self.custom.iter().find(|(found, _)| *found == name).map(|(_, data)| *data)
    }
}

/// The Rust path of a symbol.
pub(crate) fn demangled(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}
