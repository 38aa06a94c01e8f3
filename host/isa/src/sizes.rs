//! [`sizes`]: how large a program is, and how much of it the kernels are.

use std::path::Path;

use object::SectionKind;
use serde::Serialize;

use crate::error::IsaError;
use crate::symbols::{Group, Symbols};

/// Bytes of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Machine code and the constants that lie between it.
    pub text: u64,
    /// Constants, texts of messages among them.
    pub rodata: u64,
    /// Statics that start with a value.
    pub data: u64,
    /// Statics that start at zero.
    pub bss: u64,
    /// Of the statics, those that are not the runner's: on a core they would be in its TCM.
    pub statics_of_kernels: u64,
    /// The code by what it belongs to.
    pub code: Vec<CodeSize>,
}

/// Bytes of code that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CodeSize {
    /// What it belongs to.
    pub group: Group,
    /// Bytes of its functions.
    pub bytes: u64,
}

/// Measures the program in `elf`.
///
/// # Errors
/// When the file cannot be read or is not a program with symbols.
pub fn sizes(elf: &Path) -> Result<Sizes, IsaError> {
    let symbols = Symbols::read(elf)?;
    let of_kind = |wanted: &[SectionKind]| -> u64 {
        symbols.sections.iter().filter(|(kind, _)| wanted.contains(kind)).map(|(_, size)| size).sum()
    };
    let bytes = |group: Group| symbols.functions().filter(|f| f.group == group).map(|f| f.size).sum();
    Ok(Sizes {
        text: of_kind(&[SectionKind::Text]),
        rodata: of_kind(&[SectionKind::ReadOnlyData, SectionKind::ReadOnlyString]),
        data: of_kind(&[SectionKind::Data]),
        bss: of_kind(&[SectionKind::UninitializedData]),
        statics_of_kernels: symbols.statics().filter(|s| s.is_zeroed && s.group != Group::Runner).map(|s| s.size).sum(),
        code: Group::ALL.map(|group| CodeSize { group, bytes: bytes(group) }).to_vec(),
    })
}
