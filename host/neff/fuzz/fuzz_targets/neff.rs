#![no_main]

use gpsimd_neff_fuzz::{mutation, neff};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| {
    neff::check(bytes);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = fuzzer_mutate(data, size, max_size);
    // Not always: that they are wrong has to be found, too.
    if !seed.is_multiple_of(8) {
        mutation::mend_header(&mut data[..size]);
    }
    size
});
