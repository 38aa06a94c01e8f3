//! The tier that a test runs in: the kernels compiled by rustc for this host, the op package that was generated from
//! them, or the Xtensa program of the same crate.
//!
//! `cargo gpsimd test` builds the package and the program, and runs the tests again with the path of one in the environment.

use std::ffi::OsString;
use std::sync::OnceLock;

use gpsimd_emulator::OpLibrary;
use gpsimd_emulator::gpsimd_abi::LibraryTable;
use gpsimd_isa::IsaLibrary;

/// The environment variable that names an op package, compiled for this CPU.
pub const PACKAGE: &str = "GPSIMD_PACKAGE";
/// The environment variable that names an Xtensa program.
pub const ISA: &str = "GPSIMD_ISA";

enum Tier {
    Native,
    Package(OsString),
    Isa(OsString),
}

fn tier() -> Tier {
    let named = |variable, tier: fn(OsString) -> Tier| std::env::var_os(variable).map(tier);
    named(PACKAGE, Tier::Package).or_else(|| named(ISA, Tier::Isa)).unwrap_or(Tier::Native)
}

/// The op library under test: `native`, or the package or program of the same ops.
///
/// # Panics
/// When the package or program does not load, or is another library's.
pub fn library(native: &'static LibraryTable) -> OpLibrary {
    // A process has few places for programs, and a test binary one library.
    static PROGRAM: OnceLock<IsaLibrary> = OnceLock::new();
    let native = || self::native(native);
    match tier() {
        Tier::Native => native(),
        Tier::Package(path) => {
            let library = OpLibrary::load(path).unwrap_or_else(|error| panic!("{PACKAGE}: {error}"));
            assert_eq!(library.descriptor(), native().descriptor(), "{PACKAGE} is another library, or an old one");
            library
        }
        Tier::Isa(path) => {
            let load = || IsaLibrary::load(path).unwrap_or_else(|error| panic!("{ISA}: {error}"));
            let library = PROGRAM.get_or_init(load).library().clone();
            assert_eq!(library.descriptor(), native().descriptor(), "{ISA} is another library, or an old one");
            library
        }
    }
}

/// The library of the native tier.
pub(crate) fn native(native: &'static LibraryTable) -> OpLibrary {
    OpLibrary::from_static(native).unwrap_or_else(|error| panic!("{error}"))
}

/// How many of `cases` cases a property is tested with: soft float under QEMU takes hundreds of times as long.
pub fn cases(cases: u32) -> u32 {
    if matches!(tier(), Tier::Isa(_)) { cases.div_ceil(25) } else { cases }
}
