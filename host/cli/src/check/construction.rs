//! [`Construction`]: how far an op is right by construction, as DMAs go.
//!
//! A tile walk of the SDK writes every element of an output once, on one core, and moves nothing that is not within a tensor,
//! whatever the shapes: that is the SDK's to get right, which is tested and interpreted by Miri for it. What a kernel moves by
//! hand, each check has to try, and whether it comes to its walk at all: a kernel may end before it. Which of the two an op does is in its kernel image: for every call of a DMA, the debug information
//! says through which functions it was inlined, and their source files whose these are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use addr2line::Context as Locations;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use anyhow::Context;
use serde::Serialize;
use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef};

/// How far an op is right by construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Construction {
    /// Every DMA is the tile walk's: coverage, disjointness and bounds.
    Whole,
    /// Every store is: coverage and disjointness. It loads by hand, too.
    Stores,
}

impl Construction {
    /// In a few words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Whole => "by construction",
            Self::Stores => "stores by construction",
        }
    }
}

type Section<'a> = EndianSlice<'a, LittleEndian>;

/// Who is responsible for a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Responsible {
    /// The SDK: its tile walk, or what it does for every kernel before that runs.
    Sdk,
    /// The kernel, or nobody knows.
    Kernel,
    /// Whoever calls the function that it is in.
    Caller,
}

/// The functions of an image, and what they call.
#[derive(Default)]
struct Image<'a> {
    imports: u32,
    dmas: BTreeSet<u32>,
    /// By the op's name.
    entries: BTreeMap<String, u32>,
    /// Calls of each function, imports not counted: the offset in the code section, and what is called; none if that is decided as
    /// it runs.
    calls: Vec<Vec<(u64, Option<u32>)>>,
    sections: BTreeMap<&'a str, &'a [u8]>,
}

/// Where the crate `gpsimd` is, as the debug information of an image names it.
pub(super) struct Sdk<'a> {
    /// Its `src`, as messages name it.
    pub(super) source: PathBuf,
    /// What may be before that, or not: the folder in which the image was linked.
    pub(super) workspace: &'a Path,
}

/// How far each op of a kernel image is right by construction. What is not there has to be tried.
///
/// # Errors
/// When the image has no debug information.
pub(super) fn of_image(wasm: &[u8], sdk: &Sdk<'_>) -> anyhow::Result<BTreeMap<String, Construction>> {
    let mut ops = BTreeMap::new();
    let stores = walks(wasm, &["store"], sdk)?;
    let all = walks(wasm, &["load", "store"], sdk)?;
    for op in stores {
        let construction = if all.contains(&op) { Construction::Whole } else { Construction::Stores };
        ops.insert(op, construction);
    }
    Ok(ops)
}

/// Names of the ops that reach these imports, one at least, through the tile walk alone.
fn walks(wasm: &[u8], dmas: &[&str], sdk: &Sdk<'_>) -> anyhow::Result<BTreeSet<String>> {
    let image = Image::read(wasm, dmas)?;
    let section = |id: SectionId| {
        let bytes = image.sections.get(id.name()).copied().unwrap_or_default();
        Ok::<_, addr2line::gimli::Error>(Section::new(bytes, LittleEndian))
    };
    let locations =
        Locations::from_dwarf(Dwarf::load(section)?).context("the kernel image has no debug information")?;
    let responsible: Vec<Vec<Responsible>> = image
        .calls
        .iter()
        .map(|calls| calls.iter().map(|(offset, _)| responsible(&locations, *offset, sdk)).collect())
        .collect();
    // Functions that move elements for whoever calls them: the DMAs, and what calls one of these without being asked by a walk.
    let mut moving = image.dmas.clone();
    let calls = || image.calls.iter().zip(&responsible).zip(image.imports..);
    loop {
        let before = moving.len();
        for ((calls, responsible), function) in calls() {
            let moves = |callee: &Option<u32>| callee.is_none_or(|callee| moving.contains(&callee));
            let mut pairs = calls.iter().zip(responsible);
            if pairs.any(|((_, callee), who)| *who == Responsible::Caller && moves(callee)) {
                moving.insert(function);
            }
        }
        if moving.len() == before {
            break;
        }
    }
    let is_by_hand = |function: u32| {
        let index = (function - image.imports) as usize;
        let (Some(calls), Some(responsible)) = (image.calls.get(index), responsible.get(index)) else { return true };
        let moves = |callee: &Option<u32>| callee.is_none_or(|callee| moving.contains(&callee));
        calls.iter().zip(responsible).any(|((_, callee), who)| *who == Responsible::Kernel && moves(callee))
    };
    let walks = |entry: u32| {
        let reached = image.reached(entry);
        reached.iter().any(|function| image.dmas.contains(function))
            && !moving.contains(&entry)
            && reached.iter().all(|function| *function < image.imports || !is_by_hand(*function))
    };
    Ok(image.entries.iter().filter(|(_, entry)| walks(**entry)).map(|(name, _)| name.clone()).collect())
}

impl<'a> Image<'a> {
    fn read(wasm: &'a [u8], dmas: &[&str]) -> anyhow::Result<Self> {
        let mut image = Self::default();
        let mut code = 0;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports {
                        let import = import?;
                        if matches!(import.ty, TypeRef::Func(_)) {
                            if dmas.contains(&import.name) {
                                image.dmas.insert(image.imports);
                            }
                            image.imports += 1;
                        }
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        if let (ExternalKind::Func, Some(op)) = (export.kind, export.name.strip_prefix("run:")) {
                            image.entries.insert(op.to_owned(), export.index);
                        }
                    }
                }
                Payload::CodeSectionStart { range: Range { start, .. }, .. } => code = start,
                Payload::CodeSectionEntry(body) => {
                    let mut calls = Vec::new();
                    let mut operators = body.get_operators_reader()?;
                    while !operators.eof() {
                        let (operator, offset) = operators.read_with_offset()?;
                        let offset = (offset - code) as u64;
                        match operator {
                            Operator::Call { function_index } => calls.push((offset, Some(function_index))),
                            Operator::CallIndirect { .. } => calls.push((offset, None)),
                            _ => {}
                        }
                    }
                    image.calls.push(calls);
                }
                Payload::CustomSection(section) => {
                    image.sections.insert(section.name(), section.data());
                }
                _ => {}
            }
        }
        Ok(image)
    }

    /// All functions that running `entry` may call, itself among them.
    fn reached(&self, entry: u32) -> BTreeSet<u32> {
        let (mut reached, mut left) = (BTreeSet::new(), vec![entry]);
        while let Some(function) = left.pop() {
            if reached.insert(function)
                && let Some(calls) = function.checked_sub(self.imports).and_then(|index| self.calls.get(index as usize))
            {
                left.extend(calls.iter().filter_map(|(_, callee)| *callee));
            }
        }
        reached
    }
}

/// Who is responsible for the call at an offset of the code section: the first that says so of the functions that it was
/// inlined through, from the innermost outwards.
fn responsible(locations: &Locations<Section<'_>>, offset: u64, sdk: &Sdk<'_>) -> Responsible {
    let Ok(mut frames) = locations.find_frames(offset).skip_all_loads() else { return Responsible::Kernel };
    // Of what the debug information does not know, anybody may be.
    let mut responsible = Responsible::Kernel;
    while let Ok(Some(frame)) = frames.next() {
        let file = frame.location.and_then(|location| location.file);
        responsible = file.map_or(Responsible::Kernel, |file| of_file(Path::new(file), sdk));
        if responsible != Responsible::Caller {
            break;
        }
    }
    responsible
}

/// Who is responsible for what a function in a source file calls.
fn of_file(file: &Path, sdk: &Sdk<'_>) -> Responsible {
    // Where the standard library was built, and where it lies with its sources.
    let is_core = file.starts_with("/rustc") || file.components().any(|part| part.as_os_str() == "rustlib");
    let file = file.strip_prefix(sdk.workspace).unwrap_or(file);
    match file.strip_prefix(&sdk.source) {
        // The latter brings the scalars.
        Ok(inside) if inside.starts_with("walk") || inside == Path::new("entry.rs") => Responsible::Sdk,
        Ok(_) => Responsible::Caller,
        Err(_) if is_core => Responsible::Caller,
        Err(_) => Responsible::Kernel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_of_the_walk_or_of_a_kernel() {
        let sdk = Sdk { source: "gpsimd-0.1.0/src".into(), workspace: Path::new("/home/me/my-ops") };
        let of = |file: &str| of_file(Path::new(file), &sdk);
        // Names within the workspace that the image was linked in, and those that the parts of it bring along.
        assert_eq!(of("/home/me/my-ops/gpsimd-0.1.0/src/walk/map.rs"), Responsible::Sdk);
        assert_eq!(of("gpsimd-0.1.0/src/walk/map.rs"), Responsible::Sdk);
        assert_eq!(of("gpsimd-0.1.0/src/tcm/mod.rs"), Responsible::Caller);
        assert_eq!(of("/rustc/59807616/library/core/src/ops/function.rs"), Responsible::Caller);
        assert_eq!(of("/home/me/my-ops/src/walk/map.rs"), Responsible::Kernel);
        assert_eq!(of("/home/you/gpsimd-0.1.0/src/walk/map.rs"), Responsible::Kernel);
        assert_eq!(of("src/lib.rs"), Responsible::Kernel);
    }
}
