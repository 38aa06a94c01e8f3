//! What holds of any bytes, holds of every input in the corpora beside the fuzz targets: without libFuzzer, in a moment.

#![allow(unreachable_pub, reason = "these are the fuzz targets' own sources")]

use std::path::Path;

use super::save::{BYTES, INPUTS};
use super::target::{self, Language, entries};

#[path = "../../../host/neff/fuzz/src/archive.rs"]
mod archive;
#[path = "../../../host/codegen/fuzz/src/descriptor.rs"]
mod descriptor;
#[path = "../../../host/codegen/fuzz/src/image.rs"]
mod image;
#[path = "../../../host/codegen/fuzz/src/module.rs"]
mod module;
#[path = "../../../host/neff/fuzz/src/neff.rs"]
mod neff;
#[path = "../../../host/cli/fuzz/src/replay.rs"]
mod replay;
#[path = "../../../host/codegen/tests/wasm/smith.rs"]
#[allow(dead_code, reason = "the other half is for executing the modules")]
mod smith;

fn check_corpus(name: &str, check: fn(&[u8]) -> bool) {
    let targets = target::all().expect("the fuzz targets");
    let target = targets.iter().find(|target| target.name == name).expect("a target of this name");
    let inputs = entries(&target.seeds()).expect("a corpus");
    assert!(inputs.len() >= 10, "{name} has {} inputs", inputs.len());
    let mut read = 0;
    for input in &inputs {
        // Shown if the next line panics.
        println!("{}", input.display());
        read += usize::from(check(&std::fs::read(input).expect("an input")));
    }
    // Otherwise nothing behind the first refusal is tried.
    println!("{read} of {} inputs are read to the end", inputs.len());
    assert!(read >= 3, "{name}: {read} inputs are read to the end");
}

macro_rules! corpora {
    ($($target:ident)*) => {
        /// All Rust targets; those in Python have a test of their own.
        const TARGETS: &[&str] = &[$(stringify!($target)),*];

        mod every_input_is_read_or_refused {
            $(#[test]
            fn $target() {
                super::check_corpus(stringify!($target), super::$target::check);
            })*
        }
    };
}

corpora!(archive descriptor image module neff replay);

#[test]
fn every_rust_target_has_a_test() {
    let mut targets = target::all().expect("the fuzz targets");
    targets.retain(|target| target.language == Language::Rust);
    let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, TARGETS);
}

#[test]
fn corpora_are_small() {
    for target in target::all().expect("the fuzz targets") {
        let size = |path: &Path| path.metadata().expect("an input").len();
        let inputs = entries(&target.seeds()).expect("a corpus");
        let sizes: Vec<_> = inputs.iter().map(|path| size(path)).collect();
        assert!(sizes.len() <= INPUTS, "{}: {} inputs", target.name, sizes.len());
        assert!(sizes.iter().sum::<u64>() <= BYTES, "{}: {sizes:?}", target.name);
    }
}
