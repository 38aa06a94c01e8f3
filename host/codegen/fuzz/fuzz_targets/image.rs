//! Any bytes as a kernel image: refused, or made into C++.

#![no_main]

use gpsimd_codegen::{Image, Module, Options, Package, emit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|wasm: &[u8]| {
    if let Ok(module) = Module::read(wasm) {
        let _ = emit(&module, &Options { bounds_checks: true, ..Options::default() });
    }
    if let Ok(image) = Image::read(wasm) {
        let _ = Package::generate(&image, wasm);
    }
});
