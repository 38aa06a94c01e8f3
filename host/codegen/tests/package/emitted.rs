//! The files of a small op's package.

use gpsimd_codegen::PRELUDE;

use crate::images::{SMALL_OPS, image, package};

fn file(name: &str) -> String {
    let files = package(SMALL_OPS).unwrap_or_else(|error| panic!("{error}")).files();
    files.into_iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name}")).1
}

/// Without the prelude, which is the same for all.
fn source(name: &str) -> String {
    let text = file(name);
    assert_eq!(text.matches(PRELUDE).count(), 1);
    text.replace(PRELUDE, "// (the prelude)\n")
}

#[test]
fn the_kernel_of_a_small_op() {
    insta::assert_snapshot!(source("small_ops.cpp"));
}

#[test]
fn the_shape_function_of_a_small_op() {
    insta::assert_snapshot!(source("small_ops_shape.cpp"));
}

#[test]
fn the_manifest_of_a_small_op() {
    insta::assert_snapshot!(file("manifest.json"));
}

#[test]
fn the_build_script_of_a_small_op() {
    insta::assert_snapshot!(file("build.py"));
}

#[test]
fn the_same_image_gives_the_same_bytes() {
    for wasm in [SMALL_OPS, &image(&[])] {
        let (first, second) = (package(wasm).unwrap(), package(wasm).unwrap());
        assert_eq!(first.files(), second.files());
    }
}

/// Nothing in a package says where or when it was made.
#[test]
fn a_package_names_no_folder_of_this_machine() {
    for (name, text) in package(SMALL_OPS).unwrap().files() {
        for folder in [env!("CARGO_MANIFEST_DIR"), env!("CARGO_TARGET_TMPDIR")] {
            assert!(!text.contains(folder), "{name} has {folder} in it");
        }
    }
}
