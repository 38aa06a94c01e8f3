//! [`Symbols`]: the functions and statics of a program, and what they belong to.

use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use serde::Serialize;

use crate::build::file;
use crate::error::IsaError;

/// What a function or static of a program belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The ops, and what was inlined into them.
    Kernels,
    /// Soft float, fused multiply-add, square root, division, wide shifts: instructions of the device's cores, or none.
    Arithmetic,
    /// `memcpy` and the like.
    Memory,
    /// `core`: panics and their messages.
    Core,
    /// The runner: device calls as messages to the host, which on a core are the vendor's.
    Runner,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 5] = [Self::Kernels, Self::Arithmetic, Self::Memory, Self::Core, Self::Runner];

    /// What tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernels => "kernels",
            Self::Arithmetic => "arithmetic",
            Self::Memory => "memory",
            Self::Core => "core",
            Self::Runner => "runner",
        }
    }

    fn of(symbol: &str) -> Self {
        let name = format!("{:#}", rustc_demangle::demangle(symbol));
        let is_in = |path: &str| name.contains(path);
        if is_in("gpsimd_isa_") || symbol == "_start" || symbol.contains("rust_begin_unwind") {
            Self::Runner
        } else if matches!(symbol, "memcpy" | "memmove" | "memset" | "memcmp" | "bcmp" | "strlen")
            || is_in("::mem::mem")
        {
            Self::Memory
        } else if is_in("compiler_builtins::") || is_in("libm::") || is_in("gpsimd::math::intrinsics::") {
            Self::Arithmetic
        } else if symbol.starts_with("_R") || symbol.starts_with("_ZN") {
            let is_of_core = name.trim_start_matches('<').starts_with("core::");
            if is_of_core && !is_in("gpsimd::") { Self::Core } else { Self::Kernels }
        } else if symbol.starts_with("__") {
            Self::Arithmetic
        } else {
            Self::Kernels
        }
    }
}

/// A function or static.
pub(crate) struct Symbol {
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) group: Group,
    is_function: bool,
    /// Whether it takes no room in the file.
    pub(crate) is_zeroed: bool,
}

/// The functions and statics of a program, and the sizes of its sections.
pub(crate) struct Symbols {
    /// By address.
    symbols: Vec<Symbol>,
    pub(crate) sections: Vec<(SectionKind, u64)>,
}

impl Symbols {
    pub(crate) fn read(elf: &Path) -> Result<Self, IsaError> {
        let bytes = std::fs::read(elf).map_err(file("read", elf))?;
        let refused = |problem: String| IsaError::NoElf { path: elf.into(), problem };
        let object = object::File::parse(&*bytes).map_err(|error| refused(error.to_string()))?;
        let kind_of = |symbol: &object::Symbol<'_, '_>| {
            let section = symbol.section_index().and_then(|index| object.section_by_index(index).ok());
            section.map_or(SectionKind::Unknown, |section| section.kind())
        };
        let mut symbols: Vec<_> = object
            .symbols()
            .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data) && symbol.size() > 0)
            .map(|symbol| Symbol {
                address: symbol.address(),
                size: symbol.size(),
                group: Group::of(symbol.name().unwrap_or_default()),
                is_function: symbol.kind() == SymbolKind::Text,
                is_zeroed: kind_of(&symbol) == SectionKind::UninitializedData,
            })
            .collect();
        if !symbols.iter().any(|symbol| symbol.is_function) {
            return Err(refused("it has no symbols of functions".into()));
        }
        symbols.sort_by_key(|symbol| symbol.address);
        // Aliases: `memcpy` and what it calls itself in Rust.
        symbols.dedup_by_key(|symbol| symbol.address);
        let sections = object.sections().map(|section| (section.kind(), section.size())).collect();
        Ok(Self { symbols, sections })
    }

    pub(crate) fn functions(&self) -> impl Iterator<Item = &Symbol> {
        self.symbols.iter().filter(|symbol| symbol.is_function)
    }

    pub(crate) fn statics(&self) -> impl Iterator<Item = &Symbol> {
        self.symbols.iter().filter(|symbol| !symbol.is_function)
    }

    /// The group of the function that the instruction at `address` is in.
    pub(crate) fn group_at(&self, address: u64) -> Group {
        let after = self.symbols.partition_point(|symbol| symbol.address <= address);
        let found = self.symbols[..after].last().filter(|symbol| address < symbol.address + symbol.size);
        // Only the runner has code without a symbol of its own: the entry of the program.
        found.map_or(Group::Runner, |symbol| symbol.group)
    }
}

#[cfg(test)]
mod tests {
    use super::Group;

    #[test]
    fn symbols_belong_to_what_their_paths_say() {
        for (symbol, group) in [
            ("_RNvNtCs1_8bert_ops4gelu17bias_gelu_forward", Group::Kernels),
            ("_RNvNtNtCs1_6gpsimd4math10intrinsics3fma", Group::Arithmetic),
            ("_RNvNtCs1_18gpsimd_isa_runner6device4load", Group::Runner),
            ("gpsimd_isa_call_on", Group::Runner),
            ("gpsimd_op_library", Group::Kernels),
            ("__mulsf3", Group::Arithmetic),
            ("memcpy", Group::Memory),
            ("_RNvNtCs1_4core9panicking9panic_fmt", Group::Core),
        ] {
            assert_eq!(Group::of(symbol), group, "{symbol}");
        }
    }
}
