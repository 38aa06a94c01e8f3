//! Random modules of the accepted subset, emitted as C++ and run, against the interpreter wasmi: the same results, the
//! same traps, and afterwards the same memory and globals.
//!
//! `GPSIMD_SMITH_MODULES=5000 cargo test -p gpsimd-codegen --test wasm differential -- --nocapture` runs more of them
//! than the default, and `GPSIMD_SMITH_FIRST=1234` begins at that seed.

use std::collections::BTreeMap;

use gpsimd_codegen::Options;

use crate::library::{LibraryBuilder, Trap};
use crate::reference::{self, Reference};
use crate::smith::{Random, is_trapless, module};

const MODULES: u64 = 400;
/// Calls of every exported function, each on a new instance.
const CALLS: usize = 4;

#[test]
fn emitted_modules_behave_like_interpreted_ones() {
    let first = setting("GPSIMD_SMITH_FIRST", 0);
    let count = setting("GPSIMD_SMITH_MODULES", MODULES);

    let mut builder = LibraryBuilder::default();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let mut accepted = Vec::new();
    for seed in first..first + count {
        let wasm = module(seed);
        // Packages ship without checks, as Rust promises what smith does for these.
        let options = Options { bounds_checks: !is_trapless(seed), ..Options::default() };
        match builder.add(&wasm, &options) {
            Ok(id) => accepted.push((seed, id, wasm)),
            Err(reason) => *refused.entry(reason).or_default() += 1,
        }
    }
    let library = builder.build("differential");

    let (mut returned, mut overflown) = (0, 0);
    let mut trapped: BTreeMap<String, usize> = BTreeMap::new();
    for (seed, id, wasm) in &accepted {
        let mut random = Random::new(*seed);
        let reference = Reference::new(wasm);
        for function in reference.functions() {
            for call in 0..CALLS {
                let operands: Vec<u64> = function.operands.iter().map(|ty| random.operand(*ty, call)).collect();
                let mut instance = library.instantiate(*id).expect("smith makes no start functions");
                let mut expected = reference.instantiate();
                let expected_result = expected.call(&function.name, &operands);
                if expected_result == Err(Trap(reference::STACK_OVERFLOW.to_owned())) {
                    overflown += 1;
                    continue;
                }
                let context = || format!("seed {seed} ({id:?}), function {:?} of {operands:x?}", function.name);
                let outside = Err(Trap("out of bounds memory access".to_owned()));
                assert!(!is_trapless(*seed) || expected_result != outside, "{}: outside of the memory", context());
                let result = instance.call(&function.name, &operands);
                assert_eq!(result, expected_result, "{}", context());
                assert!(instance.memory() == expected.memory(), "{}: the memories differ", context());
                for (name, bits) in expected.globals() {
                    assert_eq!(instance.global(&name), Some(bits), "{}: global {name:?}", context());
                }
                match result {
                    Ok(_) => returned += 1,
                    Err(Trap(message)) => *trapped.entry(message).or_default() += 1,
                }
            }
        }
    }
    println!("{} modules: {returned} calls return, {overflown} are not compared: deep recursion", accepted.len());
    for (message, count) in &trapped {
        println!("{count:>8} calls trap: {message}");
    }
    for (reason, count) in &refused {
        println!("{count:>8} modules refused: {reason}");
    }
    assert!(accepted.len() as u64 * 10 > count * 8, "smith is to be restricted to what is accepted");
    assert!(returned > 0 && trapped.len() > 3, "calls of both kinds");
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}
