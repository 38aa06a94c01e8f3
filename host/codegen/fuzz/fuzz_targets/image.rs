#![no_main]

use std::sync::Arc;

use gpsimd_codegen_fuzz::image;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use wasm_mutate::WasmMutate;

fuzz_target!(|wasm: &[u8]| {
    image::check(wasm);
});

// Most changes of bytes end at the validator: half of the mutations leave a valid module valid.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let valid = if seed.is_multiple_of(2) { valid_mutation(&data[..size], seed) } else { None };
    match valid {
        Some(wasm) if wasm.len() <= max_size => {
            data[..wasm.len()].copy_from_slice(&wasm);
            wasm.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});

fn valid_mutation(wasm: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut mutate = WasmMutate::default();
    mutate.seed(seed.into()).fuel(100).raw_mutate_func(Some(Arc::new(|bytes, max_size| {
        let (size, max_size) = (bytes.len(), max_size.min(2 * bytes.len() + 16));
        bytes.resize(max_size.max(size), 0);
        let size = fuzzer_mutate(bytes, size, max_size);
        bytes.truncate(size);
        Ok(())
    })));
    wasmparser::validate(wasm).ok()?;
    mutate.run(wasm).ok()?.next()?.ok()
}
