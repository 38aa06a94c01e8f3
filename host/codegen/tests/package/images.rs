//! Kernel images: that of `small-ops`, and ones written as text.

use gpsimd_codegen::{Image, ImageError, Package};

/// The image of `small-ops`; its manifest says how it is made.
pub(crate) const SMALL_OPS: &[u8] = include_bytes!("small_ops.wasm");

/// The image of `packed-ops`; likewise.
pub(crate) const PACKED_OPS: &[u8] = include_bytes!("packed_ops.wasm");

/// The package of an image.
pub(crate) fn package(wasm: &[u8]) -> Result<Package, ImageError> {
    Package::generate(&Image::read(wasm)?, wasm)
}

/// The text of an image with one op, `scale`, that is accepted. Tests replace parts of it.
pub(crate) const TEXT: &str = r#"(module
  (import "gpsimd" "core_id" (func $core_id (result i32)))
  (memory 1)
  (global $__stack_pointer (mut i32) (i32.const 1024))
  (global $end i32 (i32.const 1072))
  (global $pool_bytes i32 (i32.const 1040))
  (export "gpsimd.pool_bytes" (global $pool_bytes))
  (export "__heap_base" (global $end))
  (data (i32.const 1024) "a constant")
  (data (i32.const 1040) "\00\30\00\00")
  (func $my_ops::scale::run (export "run:scale") (result i32)
    i32.const 0)
  (func $my_ops::scale::shape (export "shape:scale") (param i32 i32 i32 i32 i32) (result i32)
    i32.const 0)
  (@custom "linking" "\02")
  (@custom "gpsimd.descriptor" "{'name':'my_ops','version':'1.0','ops':[{'name':'scale','doc':'','operands':[{'name':'x','kind':{'tensor':'f32'}}],'outputs':[{'name':'y','element':'f32'}],'gradients':[],'file':'src/lib.rs'}]}")
)"#;

/// Assembles [`TEXT`] with parts of it replaced: `(what, by what)`.
pub(crate) fn image(replaced: &[(&str, &str)]) -> Vec<u8> {
    let mut text = TEXT.to_owned();
    for (what, by) in replaced {
        assert_eq!(text.matches(what).count(), 1, "{what} is not in the text, or not once");
        text = text.replace(what, by);
    }
    wat::parse_str(text.replace('\'', "\\22")).unwrap_or_else(|error| panic!("{error}"))
}

/// What the device's compiler sees of kernels, as far as our headers have it.
pub(crate) fn for_the_device(kernels: &str) -> String {
    assert!(kernels.contains("#ifdef GPSIMD_EMULATED") && kernels.contains("#ifndef GPSIMD_EMULATED"));
    kernels.replace("#ifdef GPSIMD_EMULATED", "#if 0").replace("#ifndef GPSIMD_EMULATED", "#if 1")
}
