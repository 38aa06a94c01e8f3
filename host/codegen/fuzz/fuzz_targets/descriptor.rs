#![no_main]

use gpsimd_codegen_fuzz::descriptor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    descriptor::check(bytes);
});
