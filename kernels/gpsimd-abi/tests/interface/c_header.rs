//! The C header says what the Rust source says: a C compiler verifies it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use gpsimd_abi::ABI_VERSION;

use crate::interface::{constants, types};

/// A C file that does not compile unless the header has the layout, the signatures and the constants of the Rust source.
fn assertions() -> String {
    let mut text = String::from("#include \"gpsimd_abi.h\"\n");
    let mut assert = |condition: &str, message: &str| {
        let _ = writeln!(text, "_Static_assert({condition}, \"{message}\");");
    };
    assert(&format!("GPSIMD_ABI_VERSION == {ABI_VERSION}"), "GPSIMD_ABI_VERSION");
    for (name, value) in constants() {
        assert(&format!("{name} == {value}"), &name);
    }
    for ty in types() {
        let c = ty.c;
        assert(&format!("sizeof({c}) == {} && _Alignof({c}) == {}", ty.bytes, ty.align), c);
        for field in ty.fields {
            let name = field.name;
            let (offset, bytes) = (field.offset, field.bytes);
            let member = format!("(({c} *)0)->{name}");
            assert(
                &format!("offsetof({c}, {name}) == {offset} && sizeof({member}) == {bytes}"),
                &format!("layout of {c}.{name}"),
            );
            if field.is_function {
                let signature = &field.ty;
                assert(&format!("_Generic({member}, {signature}: 1, default: 0)"), &format!("{c}.{name}: {signature}"));
            }
        }
    }
    text.push_str("typedef const gpsimd_library *entry_point(void);\nentry_point gpsimd_op_library;\n");
    text
}

#[test]
fn the_c_header_is_the_interface_of_the_rust_source() {
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("assertions.c");
    std::fs::write(&source, assertions()).expect("the folder is writable");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Command::new(&compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"))
        .arg(&source)
        .output()
        .unwrap_or_else(|error| panic!("cannot run the C compiler {}: {error}: set CC to one", compiler.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
