#![no_main]

use gpsimd_codegen_fuzz::module;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    module::check(bytes);
});
