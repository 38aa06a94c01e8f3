//! Modules of instructions that fit together, made of any bytes: refused, or made into C++.
//!
//! What `image` does not reach: few changes of bytes leave a module valid.

use arbitrary::Unstructured;
use gpsimd_codegen::{Module, Options, emit};

use super::smith;

pub fn check(bytes: &[u8]) {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    // Too few bytes for a module.
    let Ok(module) = wasm_smith::Module::new(smith::config(kind.into()), &mut Unstructured::new(bytes)) else { return };
    let wasm = module.to_bytes();
    let Ok(module) = Module::read(&wasm) else { return };
    for bounds_checks in [false, true] {
        let _ = emit(&module, &Options { bounds_checks, ..Options::default() });
    }
}
