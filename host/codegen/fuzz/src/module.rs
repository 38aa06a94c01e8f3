//! Modules of instructions that fit together, made of any bytes: refused, or made into C++.
//!
//! What `image` does not reach: few changes of bytes leave a module valid.

use arbitrary::Unstructured;
use gpsimd_codegen::{Module, Options, emit};

use super::smith;

pub fn check(bytes: &[u8]) -> bool {
    let Some((&kind, bytes)) = bytes.split_first() else { return false };
    // Too few bytes for a module.
    let Ok(module) = wasm_smith::Module::new(smith::config(kind.into()), &mut Unstructured::new(bytes)) else {
        return false;
    };
    let wasm = module.to_bytes();
    let Ok(module) = Module::read(&wasm) else { return false };
    [false, true].map(|bounds_checks| emit(&module, &Options { bounds_checks, ..Options::default() }).is_ok())
        == [true; 2]
}
