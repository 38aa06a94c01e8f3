//! Any bytes as a kernel image: refused, or made into C++.

use gpsimd_codegen::{Image, Module, Options, Package, emit};

pub fn check(wasm: &[u8]) {
    if let Ok(module) = Module::read(wasm) {
        let _ = emit(&module, &Options { bounds_checks: true, ..Options::default() });
    }
    if let Ok(image) = Image::read(wasm) {
        let _ = Package::generate(&image, wasm);
    }
}
