//! `build` of crates as people have them: manifests, folders and environments that are not this checkout's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An op library in a folder of its own, with this manifest.
fn library(folder: &Path, manifest: &str) -> PathBuf {
    let source = folder.join("src");
    fs::create_dir_all(&source).unwrap();
    let gpsimd = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels/gpsimd").canonicalize().unwrap();
    fs::write(folder.join("Cargo.toml"), manifest.replace("GPSIMD", &gpsimd.display().to_string())).unwrap();
    fs::write(source.join("lib.rs"), SOURCE).unwrap();
    folder.to_path_buf()
}

const SOURCE: &str = r#"
#![no_std]
use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = like_x)]
pub fn copies(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(LANES) {
        let x = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        y.copy_from_slice(&x);
        y.store()?;
    }
    Ok(())
}

op_library! { name: "copies", ops: [copies] }
"#;

/// The comment and the odd spacing are what is tried.
const MANIFEST: &str = r#"
[ package ] # of an op library
name = "copies"
version = "0.1.0"
edition = "2024"

[lib]
crate-type = ["cdylib", "rlib"]

[dependencies]
gpsimd = { path = "GPSIMD" }

[profile.release]
panic = "abort"
opt-level = "s"

[workspace]
"#;

fn build(library: &Path, out: &Path, environment: &[(&str, &str)]) -> (bool, String) {
    let Output { status, stderr, .. } = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"))
        .args(["build", "--manifest-path"])
        .arg(library.join("Cargo.toml"))
        .arg("--out")
        .arg(out)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    (status.success(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_crate_elsewhere_is_built_whatever_the_environment_says_and_a_failure_names_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    // A name with a space and a letter that is not ASCII.
    let library = library(&folder.path().join("ops für alle"), MANIFEST);
    let out = folder.path().join("what is built");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tests/build");
    let environment = [
        ("CARGO_ENCODED_RUSTFLAGS", "-Cdebuginfo=0\u{1f}--cfg=some"),
        ("RUSTFLAGS", "--cfg other -Ctarget-cpu=generic"),
        ("CARGO_BUILD_RUSTFLAGS", "--cfg other"),
        ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "--cfg other"),
        ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "--cfg other"),
        ("CARGO_BUILD_TARGET", "x86_64-unknown-none"),
        ("CARGO_TARGET_DIR", target.to_str().unwrap()),
        ("RUSTC_WRAPPER", "env"),
    ];
    let (is_built, messages) = build(&library, &out, &environment);
    assert!(is_built, "{messages}");
    for result in ["libcopies.so", "copies.wasm", "package/libcopies.so"] {
        assert!(out.join(result).is_file(), "{result}: {messages}");
    }

    // Nor does what is built say where it was: messages name files of the SDK, and their names lie in TCM.
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let home = std::env::var("CARGO_HOME").map_or_else(|_| std::env::home_dir().unwrap().join(".cargo"), Into::into);
    for result in ["libcopies.so", "copies.wasm", "package/libcopies.so"] {
        let bytes = fs::read(out.join(result)).unwrap();
        let names = |text: &str| bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        for folder in [&checkout, &home] {
            assert!(!names(folder.to_str().unwrap()), "{result} names {}", folder.display());
        }
        assert!(names("kernels/gpsimd/src/") || result.starts_with("package"), "{result}");
    }

    // What is there is not what a build makes that fails.
    fs::write(library.join("src/lib.rs"), SOURCE.replace("Ok(*x)", "Ok(x)")).unwrap();
    let (is_built, messages) = build(&library, &out, &[("CARGO_TARGET_DIR", target.to_str().unwrap())]);
    assert!(!is_built);
    for result in ["libcopies.so", "copies.wasm", "package/libcopies.so"] {
        let told = format!("warning: {} is of an earlier build", out.join(result).display());
        assert!(messages.contains(&told), "{messages}");
    }
}

/// A workspace with these members, each with its manifest after `[package]`; none has the SDK.
fn workspace(folder: &Path, members: &[(&str, &str)]) {
    let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
    fs::write(folder.join("Cargo.toml"), format!("[workspace]\nresolver = \"3\"\nmembers = {names:?}\n")).unwrap();
    for (name, manifest) in members {
        let folder =
            library(&folder.join(name), &format!("[package]\nname = {name:?}\nedition = \"2024\"\n{manifest}"));
        assert!(folder.is_dir());
    }
}

#[test]
fn the_crate_is_found_as_cargo_finds_it_or_an_error_says_which_there_are() {
    let root = tempfile::tempdir().unwrap();
    let op_library = "[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n[dependencies]\ngpsimd = { path = \"GPSIMD\" }\n";
    let members = [("app", ""), ("first", op_library), ("second", op_library), ("rlib-only", "[lib]\n")];
    workspace(root.path(), &members);
    let refused = |folder: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"));
        // As cargo starts it.
        let Output { status, stderr, .. } =
            command.args(["gpsimd", "build"]).args(arguments).current_dir(root.path().join(folder)).output().unwrap();
        assert_eq!(status.code(), Some(1));
        let messages = String::from_utf8(stderr).unwrap();
        messages.replace(root.path().canonicalize().unwrap().to_str().unwrap(), "ROOT")
    };
    let mut messages = vec![
        refused("", &[]),
        refused("app", &[]),
        refused("rlib-only", &[]),
        refused("app", &["-p", "third"]),
        refused("app", &["--manifest-path", "../none/Cargo.toml"]),
    ];
    fs::remove_file(root.path().join("Cargo.toml")).unwrap();
    messages.push(refused("", &[]));
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn what_is_no_crate_is_told_from_one_that_cargo_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |manifest: &str| {
        let (is_built, messages) = build(&library(folder.path(), manifest), &folder.path().join("out"), &[]);
        assert!(!is_built);
        messages
    };
    let messages = refused("[workspace]\nmembers = []\n");
    assert!(messages.contains("is an op library: make one with `cargo gpsimd new`"), "{messages}");
    let messages = refused("[package]\nname = 3\n");
    assert!(messages.contains("cargo cannot read"), "{messages}");
}

/// A crate in the checkout that the workspace does not list.
#[test]
fn a_crate_in_the_checkout_that_is_not_a_member_is_told_what_cargo_wants() {
    let inside = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = tempfile::tempdir_in(inside).unwrap();
    let manifest = MANIFEST.split("[profile").next().unwrap();
    let (is_built, messages) = build(&library(folder.path(), manifest), &folder.path().join("out"), &[]);
    assert!(!is_built);
    assert!(messages.contains("workspace.exclude") || messages.contains("[workspace]"), "{messages}");
}
