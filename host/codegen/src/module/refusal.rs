//! Why a module is refused.

use std::collections::BTreeMap;

use wasmparser::{BinaryReaderError, KnownCustom, Name, Parser, Payload, TypeRef, Validator, WasmFeatures};

use crate::error::ImageError;

/// Why the validator refuses a module: it is wrong, or needs a feature that is not accepted, in which case the function
/// is found out.
pub(super) fn invalid(wasm: &[u8], error: BinaryReaderError) -> ImageError {
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
