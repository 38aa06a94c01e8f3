//! [`Module`]: a WebAssembly module, read and verified, in the form that the generator needs.

use std::collections::BTreeMap;

use wasmparser::{
    BinaryReaderError, CompositeInnerType, ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, FuncType,
    FunctionBody, KnownCustom, Linking, LinkingSectionReader, Name, Operator, Parser, Payload, SymbolInfo, TypeRef,
    ValType, Validator, WasmFeatures,
};

use crate::error::ImageError;

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

/// A constant or a static.
pub(crate) struct DataSymbol<'a> {
    /// Mangled.
    pub(crate) name: &'a str,
    /// Not in the section of constants.
    pub(crate) is_writable: bool,
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

    #[expect(clippy::too_many_lines, reason = "an arm for every section")]
    fn take(&mut self, payload: Payload<'a>) -> Result<(), ImageError> {
        let refuse = |what: &str| Err(ImageError::unsupported("the module", what));
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.into_types() {
                        match ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => {
                                if ty.params().iter().chain(ty.results()).any(|ty| !is_number(*ty)) {
                                    return refuse("functions of types that are not numbers");
                                }
                                self.types.push(ty);
                            }
                            _ => return refuse("types that are not of functions"),
                        }
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section {
                    let import = import?;
                    let TypeRef::Func(ty) = import.ty else {
                        return refuse("an import that is not a function");
                    };
                    self.imports.push(Import { module: import.module, name: import.name });
                    self.function_types.push(ty);
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.function_types.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    if table.ty.element_type != wasmparser::RefType::FUNCREF {
                        return refuse("a table of something else than functions");
                    }
                    if !self.table.is_empty() || table.ty.initial > 65_536 {
                        return refuse("several tables, or a very large one");
                    }
                    self.table = vec![None; table.ty.initial as usize];
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memory_pages = Some(memory?.initial);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    let Some(init) = self.constant(&global.init_expr)? else {
                        return refuse("a global that does not start as a number");
                    };
                    self.globals.push(Global { ty: global.ty.content_type, mutable: global.ty.mutable, init });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    match export.kind {
                        ExternalKind::Func => self.exports.push(Export { name: export.name, function: export.index }),
                        ExternalKind::Global => {
                            self.global_exports.insert(export.name, export.index);
                        }
                        _ => {}
                    }
                }
            }
            Payload::StartSection { .. } => return refuse("a start function"),
            Payload::ElementSection(section) => {
                for element in section {
                    self.take_element(element?)?;
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    match data.kind {
                        DataKind::Active { offset_expr, .. } => {
                            let Some(Constant::I32(offset)) = self.constant(&offset_expr)? else {
                                return refuse("a data segment whose place is not a constant");
                            };
                            let end = u64::from(offset) + data.data.len() as u64;
                            if end > self.memory_pages.unwrap_or(0) * PAGE {
                                return refuse("a data segment outside of the memory");
                            }
                            self.data.push(Data { offset, bytes: data.data });
                        }
                        DataKind::Passive => return refuse("a passive data segment"),
                    }
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::CustomSection(section) => {
                self.custom.push((section.name(), section.data()));
                if let KnownCustom::Linking(linking) = section.as_known() {
                    // One that is broken says nothing.
                    self.data_symbols = data_symbols(&linking).ok();
                }
                if let KnownCustom::Name(names) = section.as_known() {
                    // Names are for people: a module with broken ones is as good.
                    for name in names.flatten() {
                        match name {
                            Name::Function(map) => {
                                self.names.extend(map.into_iter().flatten().map(|naming| (naming.index, naming.name)));
                            }
                            Name::Global(map) => {
                                let map = map.into_iter().flatten();
                                self.global_names.extend(map.map(|naming| (naming.index, naming.name)));
                            }
                            _ => {}
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take_element(&mut self, element: wasmparser::Element<'a>) -> Result<(), ImageError> {
        let refuse = |what: &str| Err(ImageError::unsupported("the module", what));
        let ElementKind::Active { offset_expr, .. } = element.kind else {
            return refuse("a passive or declared segment of its table");
        };
        let Some(Constant::I32(offset)) = self.constant(&offset_expr)? else {
            return refuse("a segment of its table whose place is not a constant");
        };
        let mut at = offset as usize;
        // An empty one too.
        let mut fits = at <= self.table.len();
        let mut put = |function: Option<u32>| {
            let Some(slot) = self.table.get_mut(at) else { return false };
            *slot = function;
            at += 1;
            true
        };
        match element.items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    fits &= put(Some(function?));
                }
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    let mut operators = expression?.get_operators_reader();
                    match operators.read()? {
                        Operator::RefFunc { function_index } => fits &= put(Some(function_index)),
                        Operator::RefNull { .. } => fits &= put(None),
                        _ => return refuse("a segment of its table that is not of functions"),
                    }
                }
            }
        }
        if fits { Ok(()) } else { refuse("a segment outside of its table") }
    }

    fn constant(&self, expression: &ConstExpr<'a>) -> Result<Option<Constant>, ImageError> {
        let mut operators = expression.get_operators_reader();
        let value = match operators.read()? {
            Operator::I32Const { value } => Constant::I32(value as u32),
            Operator::I64Const { value } => Constant::I64(value as u64),
            Operator::F32Const { value } => Constant::F32(value.bits()),
            Operator::F64Const { value } => Constant::F64(value.bits()),
            Operator::GlobalGet { global_index } => match self.globals.get(global_index as usize) {
                Some(global) => global.init,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(matches!(operators.read()?, Operator::End).then_some(value))
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

/// What the linker says of the data. Constants are in segments called `.rodata`; what may change is in `.data` and `.bss`.
fn data_symbols<'a>(linking: &LinkingSectionReader<'a>) -> Result<Vec<DataSymbol<'a>>, ImageError> {
    let (mut segments, mut found) = (Vec::new(), Vec::new());
    for subsection in linking.subsections() {
        match subsection? {
            Linking::SegmentInfo(infos) => {
                for info in infos {
                    segments.push(info?.name);
                }
            }
            Linking::SymbolTable(symbols) => {
                for symbol in symbols {
                    if let SymbolInfo::Data { name, symbol: Some(data), .. } = symbol? {
                        found.push((name, data.index));
                    }
                }
            }
            _ => {}
        }
    }
    let is_constant = |index: u32| segments.get(index as usize).is_some_and(|name| name.starts_with(".rodata"));
    Ok(found.into_iter().map(|(name, segment)| DataSymbol { name, is_writable: !is_constant(segment) }).collect())
}

/// The Rust path of a symbol.
pub(crate) fn demangled(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

/// Why the validator refuses a module: it is wrong, or needs a feature that is not accepted, in which case the function
/// is found out.
fn invalid(wasm: &[u8], error: BinaryReaderError) -> ImageError {
    // The parser is compiled without SIMD.
    let is_simd = error.message().contains("SIMD");
    if !is_simd && Validator::new_with_features(WasmFeatures::all()).validate_all(wasm).is_err() {
        return error.into();
    }
    let (mut imports, mut bodies, mut names) = (0, Vec::new(), BTreeMap::new());
    for payload in Parser::new(0).parse_all(wasm).flatten() {
        match payload {
            Payload::ImportSection(section) => {
                let is_function = |import: &wasmparser::Import<'_>| matches!(import.ty, TypeRef::Func(_));
                imports += section.into_iter().flatten().filter(is_function).count();
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.range()),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(sections) = section.as_known() {
                    for name in sections.flatten() {
                        if let Name::Function(map) = name {
                            names.extend(map.into_iter().flatten().map(|naming| (naming.index as usize, naming.name)));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    let body = bodies.iter().position(|range| range.contains(&error.offset()));
    let place = body.map(|body| body + imports).map_or_else(
        || "the module".into(),
        |function| match names.get(&function) {
            Some(name) => format!("function `{:#}`", rustc_demangle::demangle(name)),
            None => format!("function {function}"),
        },
    );
    let feature = if is_simd { "SIMD" } else { error.message() };
    ImageError::Feature { place, feature: feature.into() }
}

fn is_number(ty: ValType) -> bool {
    matches!(ty, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64)
}
