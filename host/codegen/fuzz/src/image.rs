//! Any bytes as a kernel image: refused, or made into C++.

use gpsimd_codegen::{Image, Module, Options, Package, emit};

pub fn check(wasm: &[u8]) -> bool {
    if let Ok(module) = Module::read(wasm) {
        let _ = emit(&module, &Options { bounds_checks: true, ..Options::default() });
    }
    Image::read(wasm).is_ok_and(|image| Package::generate(&image, wasm).is_ok())
}
