#![no_main]

use cargo_gpsimd_fuzz::{mutation, replay};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|file: &[u8]| {
    replay::check(file);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let edit = |part: &[u8]| {
        let mut edited = part.to_vec();
        edited.resize(2 * part.len() + 16, 0);
        let size = fuzzer_mutate(&mut edited, part.len(), 2 * part.len() + 16);
        edited.truncate(size);
        edited
    };
    let file = match seed % 4 {
        0 => None,
        1 => mutation::in_header(&data[..size], edit),
        _ => mutation::in_metadata(&data[..size], edit),
    };
    match file {
        Some(file) if file.len() <= max_size => {
            data[..file.len()].copy_from_slice(&file);
            file.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});
