//! Finding and opening the library.

use std::path::Path;
use std::process::Command;

use gpsimd_nrt::{Error, Libnrt, LibnrtError, Runtime};

use crate::fake::Fake;

/// Prints what `Libnrt::open` returns, for tests that start it with an environment.
#[test]
#[ignore = "run by other tests"]
fn open_and_print() {
    match Libnrt::open() {
        Ok(library) => println!("opened {}", library.path().display()),
        Err(error) => println!("error: {error}"),
    }
}

fn open_with(variable: &str, value: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "loading::open_and_print", "--ignored", "--nocapture"])
        .env_remove("NEURON_RT_LIBRARY")
        .env_remove("NEURON_SDK_ROOT")
        .env(variable, value)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("opened ") || line.contains("error: "));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn the_library_named_in_the_environment_is_opened() {
    let fake = Fake::new();
    let line = open_with("NEURON_RT_LIBRARY", &fake.path());
    assert!(line.contains(&format!("opened {}", fake.path().display())), "{line}");
}

#[test]
fn a_library_named_in_the_environment_is_the_only_one_tried() {
    let line = open_with("NEURON_RT_LIBRARY", Path::new("/nowhere/libnrt.so.1"));
    assert!(line.contains("cannot load /nowhere/libnrt.so.1, named in NEURON_RT_LIBRARY: "), "{line}");
}

#[test]
fn without_a_library_the_error_says_what_was_tried_and_what_to_install() {
    let line = open_with("NEURON_SDK_ROOT", Path::new("/nowhere"));
    for part in ["libnrt.so.1 is not here (libnrt.so.1: ", "; /nowhere/lib/libnrt.so.1: ", "aws-neuronx-runtime-lib"] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn the_library_of_the_sdk_is_found() {
    let (fake, root) = (Fake::new(), tempfile::tempdir().unwrap());
    std::fs::create_dir(root.path().join("lib")).unwrap();
    std::fs::copy(fake.path(), root.path().join("lib/libnrt.so.1")).unwrap();
    let line = open_with("NEURON_SDK_ROOT", root.path());
    assert!(line.contains("opened ") && line.ends_with("lib/libnrt.so.1"), "{line}");
}

#[test]
fn a_file_that_is_no_library_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libnrt.so.1");
    std::fs::write(&file, "text").unwrap();
    let error = Libnrt::open_at(&file).unwrap_err();
    assert!(matches!(&error, LibnrtError::Load { path, .. } if *path == file), "{error}");
}

#[test]
fn a_library_without_a_function_is_an_error_that_names_it() {
    let fake = Fake::with(&["nrt_execute=another_name"]);
    let error = Libnrt::open_at(&fake.path()).unwrap_err();
    assert!(matches!(&error, LibnrtError::Functions { missing, .. } if missing == &["nrt_execute"]), "{error}");
    assert!(error.to_string().contains("it has no nrt_execute; install another"), "{error}");
}

#[test]
fn a_library_of_another_major_version_is_refused_and_closed() {
    let fake = Fake::with(&["MAJOR=3"]);
    let error = Runtime::init(&fake.open()).unwrap_err();
    assert!(matches!(error, Error::Version { expected: 2, .. }), "{error}");
    assert!(error.to_string().contains("is version 3.20.3.1 (a fake) of"), "{error}");
    assert_eq!(fake.calls(), ["init 1 '' ''", "close"]);
}

#[test]
fn the_version_is_what_the_library_says() {
    let runtime = Fake::new().runtime();
    assert_eq!(runtime.version().to_string(), "2.20.3.1 (a fake)");
    assert!(!runtime.is_emulated());
}

#[test]
fn cores_are_counted_before_init() {
    let fake = Fake::new();
    let library = fake.open();
    assert_eq!((library.total_cores().unwrap(), library.visible_cores().unwrap()), (32, 3));
    assert_eq!(fake.calls(), [""; 0]);
}
