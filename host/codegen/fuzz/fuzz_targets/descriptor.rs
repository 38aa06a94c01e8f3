//! Any bytes as the descriptor of an op library: refused, or read.

#![no_main]

use gpsimd_descriptor::LibraryDescriptor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    let _ = LibraryDescriptor::parse(json);
});
