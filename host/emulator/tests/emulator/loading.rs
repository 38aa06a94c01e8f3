//! Loading op libraries, and libraries that are none.

use std::fs;
use std::path::{Path, PathBuf};

use gpsimd_emulator::{Engine, LoadError, OpLibrary};

use crate::fixtures::{compile, iota, library};

/// How loading `broken.c` with these definitions fails, its path replaced.
fn broken(defines: &[&str]) -> (LoadError, String) {
    let path = compile("broken.c", defines);
    let error = OpLibrary::load(&path).unwrap_err();
    let message = error.to_string().replace(&path.display().to_string(), "libx.so");
    (error, message)
}

macro_rules! assert_broken {
    ($defines:expr, $variant:pat, @$message:literal) => {{
        let (error, message) = broken(&$defines);
        assert!(matches!(error, $variant), "{error:?}");
        insta::assert_snapshot!(message, @$message);
    }};
}

#[test]
fn a_library_says_what_it_is() {
    assert_eq!(library().name(), "fixtures");
    assert_eq!(library().descriptor().version, "0.1.0");
    assert_eq!(library().ops().count(), library().descriptor().ops.len());
    let op = library().op("scale_add").unwrap();
    assert_eq!((op.name(), op.descriptor().operands.len()), ("scale_add", 3));
    assert_eq!(format!("{op:?} of {:?}", library()), r#"Op("fixtures", "scale_add") of OpLibrary("fixtures")"#);
}

#[test]
fn an_op_outlives_the_handle_of_its_library() {
    let library = OpLibrary::load(compile("kernels.c", &["ANOTHER_COPY"])).unwrap();
    let op = library.clone().op("copy").unwrap();
    drop(library);
    assert_eq!(Engine::builder().build().unwrap().call(&op, &[iota(9).view()], &[]).unwrap(), iota(9));
}

#[test]
fn an_unbroken_library_loads() {
    let library = OpLibrary::load(compile("broken.c", &[])).unwrap();
    assert_eq!(library.name(), "broken");
}

/// A copy of a library in a place of its own, where another can take its place.
fn replaceable(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("gpsimd-{}-{name}.so", std::process::id()));
    fs::copy(compile("broken.c", &[]), &path).unwrap();
    path
}

/// As builds do it: at once.
fn replace(path: &Path, with: &Path) {
    let new = path.with_extension("new");
    fs::copy(with, &new).unwrap();
    fs::rename(&new, path).unwrap();
}

#[test]
fn a_library_that_was_built_anew_while_it_is_loaded_is_an_error() {
    let path = replaceable("anew");
    let library = OpLibrary::load(&path).unwrap();
    library.expect_current().unwrap();
    replace(&path, &compile("kernels.c", &["REPLACEMENT"]));
    for error in [OpLibrary::load(&path).unwrap_err(), library.expect_current().unwrap_err()] {
        assert!(matches!(error, LoadError::Replaced { .. }), "{error:?}");
        let message = error.to_string().replace(&path.display().to_string(), "libx.so");
        insta::allow_duplicates! {
            insta::assert_snapshot!(message, @"libx.so was built anew since this process loaded it, and its earlier code is still loaded: start a new process for the new code");
        }
    }
    drop(library);
    // Nothing is left of the earlier code, so this is the new.
    assert_eq!(OpLibrary::load(&path).unwrap().name(), "fixtures");
    fs::remove_file(path).unwrap();
}

#[test]
fn a_library_that_was_built_anew_is_an_error_also_if_it_is_as_long_as_before() {
    let [before, after] = ["sse2", "fxsr"].map(|name| compile("broken.c", &[&format!("CPU_FEATURES=\"{name}\"")]));
    assert_eq!(fs::metadata(&before).unwrap().len(), fs::metadata(&after).unwrap().len());
    let path = replaceable("as-long");
    replace(&path, &before);
    let library = OpLibrary::load(&path).unwrap();
    replace(&path, &after);
    assert!(matches!(library.expect_current(), Err(LoadError::Replaced { .. })));
    fs::remove_file(path).unwrap();
}

#[test]
fn a_library_that_was_built_again_and_is_the_same_is_loaded_again() {
    let path = replaceable("again");
    let library = OpLibrary::load(&path).unwrap();
    replace(&path, &compile("broken.c", &[]));
    library.expect_current().unwrap();
    assert_eq!(OpLibrary::load(&path).unwrap().name(), "broken");
    fs::remove_file(&path).unwrap();
    library.expect_current().unwrap();
}

#[test]
fn an_unknown_op_is_an_error_that_lists_the_others() {
    let library = OpLibrary::load(compile("broken.c", &[])).unwrap();
    insta::assert_snapshot!(library.op("other").unwrap_err(), @"library `broken` has no op `other`, it has `only`");
}

#[test]
fn a_file_that_does_not_exist_is_an_error() {
    let error = OpLibrary::load("no/such/libx.so").unwrap_err();
    assert!(matches!(error, LoadError::NotFound { .. }));
    insta::assert_snapshot!(error, @"no/such/libx.so does not exist: build it with `cargo gpsimd build`");
}

#[test]
fn a_file_that_is_no_shared_library_is_an_error() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let error = OpLibrary::load(&path).unwrap_err();
    assert!(matches!(error, LoadError::NotALibrary { .. }));
    // What follows is the system's.
    let message = error.to_string().replace(&path.display().to_string(), "Cargo.toml");
    assert!(message.starts_with("Cargo.toml is not a shared library that this host can load: "), "{message}");
}

#[test]
fn a_library_without_the_entry_point_is_an_error() {
    assert_broken!(["SYMBOL=something_else"], LoadError::NoEntryPoint { .. }, @"libx.so is not an op library: it does not export `gpsimd_op_library` (does its crate call `op_library!`? `cargo gpsimd build` builds it)");
}

#[test]
fn an_entry_point_that_gives_nothing_is_an_error() {
    assert_broken!(["LIBRARY=0"], LoadError::NoLibrary { .. }, @"libx.so is broken: `gpsimd_op_library` returned no library");
    assert_broken!(["LIBRARY=(const void*)((char*)&library+1)"], LoadError::NoLibrary { .. }, @"libx.so is broken: `gpsimd_op_library` returned no library");
}

#[test]
fn a_library_without_the_magic_is_an_error() {
    assert_broken!([r#"MAGIC="simdgp\0""#], LoadError::Magic { .. }, @"libx.so is not an op library: it starts with the bytes [73, 69, 6d, 64, 67, 70, 00, 00] where `gpsimd` is expected");
}

#[test]
fn a_library_of_another_abi_version_is_an_error() {
    assert_broken!(["VERSION=7"], LoadError::AbiVersion { found: 7, .. }, @"libx.so has ABI version 7, this host speaks 2: rebuild it with `cargo gpsimd build`");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_library_for_a_cpu_with_unknown_features_is_an_error() {
    assert_broken!([r#"CPU_FEATURES="sse2, warp9""#], LoadError::UnknownCpuFeature { .. }, @"libx.so was compiled for a CPU with `warp9`, which this host cannot check: use names that `is_x86_feature_detected!` takes");
}

/// `tbm` was in AMD processors before Zen alone.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_library_for_a_cpu_with_more_features_is_an_error() {
    if std::is_x86_feature_detected!("tbm") {
        return;
    }
    assert_broken!([r#"CPU_FEATURES="sse2,tbm,,fxsr""#], LoadError::CpuFeatures { .. }, @"libx.so was compiled for a CPU with `tbm`, which this one lacks: rebuild it here with `cargo gpsimd build`");
}

#[test]
fn a_library_for_this_cpu_loads() {
    OpLibrary::load(compile("broken.c", &[r#"CPU_FEATURES=" sse2 , fxsr""#])).unwrap();
}

#[test]
fn a_descriptor_that_does_not_parse_is_an_error() {
    assert_broken!([r#"DESCRIPTOR="{}""#], LoadError::Descriptor { .. }, @"libx.so: the descriptor does not parse: missing field `name` at line 1 column 2");
}

#[test]
fn a_descriptor_that_is_null_is_an_error() {
    assert_broken!(["DESCRIPTOR_TEXT={0,3}"], LoadError::Null { .. }, @"libx.so is broken: its descriptor is null");
}

#[test]
fn a_table_with_another_number_of_ops_than_the_descriptor_is_an_error() {
    assert_broken!(["OP_COUNT=2"], LoadError::OpCount { table: 2, descriptor: 1, .. }, @"libx.so is broken: its table has 2 ops, its descriptor 1");
}

#[test]
fn a_table_that_is_null_is_an_error() {
    assert_broken!(["OPS=0"], LoadError::Null { .. }, @"libx.so is broken: its table of ops is null");
}

#[test]
fn a_function_that_is_null_is_an_error() {
    assert_broken!(["RUN=0"], LoadError::Null { .. }, @"libx.so is broken: its run function of op `only` is null");
    assert_broken!(["SHAPE=0"], LoadError::Null { .. }, @"libx.so is broken: its shape function of op `only` is null");
}
