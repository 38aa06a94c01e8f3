//! The sections of a module.

use wasmparser::{
    CompositeInnerType, ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, KnownCustom, Name, Operator,
    Payload, TypeRef, ValType,
};

use super::linking::data_symbols;
use super::{Constant, Data, Export, Global, Import, Module, PAGE};
use crate::error::ImageError;

impl<'a> Module<'a> {
    #[expect(clippy::too_many_lines, reason = "an arm for every section")]
    pub(super) fn take(&mut self, payload: Payload<'a>) -> Result<(), ImageError> {
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
                    let Some(init) = constant(&global.init_expr)? else {
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
                            let Some(Constant::I32(offset)) = constant(&offset_expr)? else {
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
        let Some(Constant::I32(offset)) = constant(&offset_expr)? else {
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
}

/// The value of an initialiser that is one constant.
fn constant(expression: &ConstExpr<'_>) -> Result<Option<Constant>, ImageError> {
    let mut operators = expression.get_operators_reader();
    let value = match operators.read()? {
        Operator::I32Const { value } => Constant::I32(value as u32),
        Operator::I64Const { value } => Constant::I64(value as u64),
        Operator::F32Const { value } => Constant::F32(value.bits()),
        Operator::F64Const { value } => Constant::F64(value.bits()),
        // A global that is read here is an imported one, which is refused.
        _ => return Ok(None),
    };
    Ok(matches!(operators.read()?, Operator::End).then_some(value))
}

fn is_number(ty: ValType) -> bool {
    matches!(ty, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64)
}
