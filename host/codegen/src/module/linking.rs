//! What the linker says of the data.

use wasmparser::{Linking, LinkingSectionReader, SymbolInfo};

use crate::error::ImageError;

/// A constant or a static.
pub(crate) struct DataSymbol<'a> {
    /// Mangled.
    pub(crate) name: &'a str,
    /// Not in the section of constants.
    pub(crate) is_writable: bool,
}

/// What the linker says of the data. Constants are in segments called `.rodata`; what may change is in `.data` and `.bss`.
pub(super) fn data_symbols<'a>(linking: &LinkingSectionReader<'a>) -> Result<Vec<DataSymbol<'a>>, ImageError> {
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
