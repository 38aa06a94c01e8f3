//! The interface does not change without its version.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use gpsimd_abi::{ABI_VERSION, ENTRY_POINT, EntryPoint, MAGIC};

use crate::c_types::CType;
use crate::interface::{constants, types};

/// The interface of this source, as a text.
fn interface() -> String {
    let mut text = format!("magic {MAGIC:?}\nentry point {ENTRY_POINT}: {}\n", EntryPoint::c());
    for ty in types() {
        let _ = writeln!(text, "\n{}: {} bytes, align {}", ty.c, ty.bytes, ty.align);
        for field in ty.fields {
            let _ = writeln!(text, "  {:3} +{:<3} {}: {}", field.offset, field.bytes, field.name, field.ty);
        }
    }
    text.push('\n');
    for (name, value) in constants() {
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

/// `versions/N.txt` is the interface of version N. Nothing writes to one that exists: what was built with a version has to
/// mean the same for as long as hosts take that version.
#[test]
#[cfg(target_pointer_width = "64")]
fn the_interface_is_that_of_its_version() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interface/versions");
    let file = folder.join(format!("{ABI_VERSION}.txt"));
    let found = interface();
    let expected = match fs::read_to_string(&file) {
        Ok(expected) => expected,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::write(&file, found).expect("the folder is writable");
            panic!("{} is new: commit it, and delete the file of the version before", file.display());
        }
        Err(error) => panic!("{}: {error}", file.display()),
    };
    let mut lines = expected.lines().zip(found.lines());
    let changed = lines.find(|(expected, found)| expected != found);
    let (expected_line, found_line) = changed.unwrap_or(("", "another number of lines"));
    assert!(
        expected == found,
        "the interface has changed, and ABI_VERSION is still {ABI_VERSION}: expected `{}`, found `{}`. Hosts would take \
         libraries that were built before: raise ABI_VERSION in src/lib.rs and GPSIMD_ABI_VERSION in include/gpsimd_abi.h to \
         {}, and run this test again",
        expected_line.trim(),
        found_line.trim(),
        ABI_VERSION + 1
    );
}
