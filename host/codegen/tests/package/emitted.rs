//! The files of a small op's package.

use std::collections::BTreeSet;

use gpsimd_codegen::PRELUDE;

use crate::images::{PACKED_OPS, SMALL_OPS, image, package};

fn file(name: &str) -> String {
    let image = if name.starts_with("packed_ops") { PACKED_OPS } else { SMALL_OPS };
    let files = package(image).unwrap_or_else(|error| panic!("{error}")).files();
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

/// What comes after the functions of the image: what PyTorch calls.
fn called_by_pytorch(name: &str, first: &str) -> String {
    let text = file(name);
    text[text.find(first).unwrap_or_else(|| panic!("no {first}"))..].to_owned()
}

#[test]
fn what_pytorch_calls_of_ops_with_several_outputs() {
    let parts = [
        called_by_pytorch("packed_ops.cpp", "torch::Tensor take("),
        called_by_pytorch("packed_ops_shape.cpp", "torch::Tensor take_shape("),
    ];
    insta::assert_snapshot!(parts.join("\n"));
}

#[test]
fn the_schemas_of_ops_with_several_outputs() {
    let manifest = package(PACKED_OPS).unwrap().manifest;
    let schemas: Vec<_> = manifest.ops.iter().map(|op| op.schema.as_str()).collect();
    let both = "both(Tensor x) -> Tensor";
    assert_eq!(schemas, ["take(Tensor x, Tensor k, Tensor params) -> Tensor", "split(Tensor x) -> Tensor", both]);
}

#[test]
fn the_source_map_says_where_every_function_is() {
    for wasm in [SMALL_OPS, PACKED_OPS] {
        let package = package(wasm).unwrap();
        let name = &package.name;
        for (file, text) in [(format!("{name}.cpp"), &package.kernels), (format!("{name}_shape.cpp"), &package.shapes)]
        {
            let lines: Vec<_> = text.lines().collect();
            let mut named = BTreeSet::new();
            for function in &package.source_map.sources[&file] {
                let (first, last) = function.lines;
                assert!(lines[first - 1].ends_with('{') && lines[last - 1] == "}", "{file}: {function:?}");
                if let Some(path) = &function.rust {
                    assert_eq!(lines[first - 2], format!("// {path}"));
                }
                named.extend(function.ops.iter().map(String::as_str));
                assert_eq!(package.source_map.at(&file, first), Some(function));
                assert_ne!(package.source_map.at(&file, first - 1), Some(function));
            }
            let ops: BTreeSet<_> = package.manifest.ops.iter().map(|op| &*op.name).collect();
            assert_eq!(named, ops, "{file}");
        }
        assert_eq!(package.source_map.at("other.cpp", 1), None);
    }
}

#[test]
fn the_same_image_gives_the_same_bytes() {
    for wasm in [SMALL_OPS, PACKED_OPS, &image(&[])] {
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
