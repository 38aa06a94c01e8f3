//! The bindings of libnrt are those of its header, and our header is the SDK's.
//!
//! Needs libclang: without it these tests say so and pass, unless `GPSIMD_REQUIRE_LIBCLANG` is 1, as `cargo xtask test`
//! sets it where it has one.

mod differences;
#[path = "../../src/bindings/generate.rs"]
mod generate;

use std::path::{Path, PathBuf};
use std::{env, fs, panic};

use differences::differences;
use tempfile::TempDir;

const COMMITTED: &str = include_str!("../../src/bindings/documented.rs");

fn our_headers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

/// The bindings of a folder of headers, or none without libclang.
fn bindings(include: &Path) -> Option<Result<String, String>> {
    let include = include.to_owned();
    match panic::catch_unwind(move || generate::generate(&include)) {
        Ok(result) => Some(result),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            assert!(text.contains("libclang"), "bindgen panicked: {text}");
            assert!(env::var_os("GPSIMD_REQUIRE_LIBCLANG").is_none_or(|value| value != "1"), "{text}");
            eprintln!("skipped: there is no libclang (LIBCLANG_PATH names its folder)");
            None
        }
    }
}

#[test]
fn the_committed_bindings_are_those_of_our_header() {
    let Some(made) = bindings(&our_headers()) else { return };
    let made = made.unwrap();
    if env::var_os("GPSIMD_UPDATE_BINDINGS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bindings/documented.rs"), &made).unwrap();
        return;
    }
    let same = made.lines().zip(COMMITTED.lines()).take_while(|(made, committed)| made == committed).count();
    assert!(
        made == COMMITTED,
        "src/bindings/documented.rs is not what include/nrt gives, from line {}: run this test with \
         GPSIMD_UPDATE_BINDINGS=1 and commit the file",
        same + 1
    );
}

#[test]
fn our_header_declares_what_the_sdks_does() {
    let root = env::var_os("NEURON_SDK_ROOT").map_or_else(|| PathBuf::from("/opt/aws/neuron"), PathBuf::from);
    let include = root.join("include");
    if !include.join("nrt/nrt.h").is_file() {
        eprintln!("skipped: there are no headers of the SDK in {}", include.display());
        return;
    }
    let Some(theirs) = bindings(&include) else { return };
    assert_eq!(differences(COMMITTED, &theirs.unwrap()), [""; 0]);
}

/// What the comparison says of an SDK that has our header, with a text replaced in one of its files.
fn differences_with(file: &str, from: &str, to: &str) -> Option<Result<Vec<String>, String>> {
    let root = copy_of_headers();
    let header = root.path().join("nrt").join(file);
    let text = fs::read_to_string(&header).unwrap();
    assert!(text.contains(from), "{file} has no `{from}`");
    fs::write(header, text.replace(from, to)).unwrap();
    Some(bindings(root.path())?.map(|theirs| differences(COMMITTED, &theirs)))
}

fn copy_of_headers() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in ["ndl", "nrt"] {
        fs::create_dir(root.path().join(folder)).unwrap();
        for entry in fs::read_dir(our_headers().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, root.path().join(folder).join(path.file_name().unwrap())).unwrap();
        }
    }
    root
}

#[test]
fn another_header_with_the_same_declarations_is_no_difference() {
    let same = [
        // The SDK leaves it open what a set is.
        ("nrt.h", "typedef void nrt_tensor_set_t;", "typedef struct nrt_tensor_set nrt_tensor_set_t;"),
        // Names of parameters and of enums say nothing to a linker.
        ("nrt.h", "int32_t vnc, int32_t vnc_count", "int32_t start, int32_t"),
        ("nrt_experimental.h", "typedef enum {", "typedef enum nrt_tensor_usage {"),
        ("nrt_status.h", "NRT_SUCCESS = 0,", "NRT_SUCCESS = 0, NRT_OF_TOMORROW = 2000,"),
    ];
    for (file, from, to) in same {
        let Some(found) = differences_with(file, from, to) else { return };
        assert_eq!(found.unwrap(), [""; 0], "{to}");
    }
}

#[test]
fn every_kind_of_difference_is_found() {
    let different = [
        ("nrt_status.h", "NRT_TIMEOUT = 5,", "NRT_TIMEOUT = 50,", "NRT_TIMEOUT is 5, the SDK's is 50"),
        ("nrt.h", "NRT_DTYPE_FLOAT32 = 0xA,", "", "the SDK has no NRT_DTYPE_FLOAT32"),
        ("nrt_version.h", "RT_VERSION_DETAIL_LEN 128", "RT_VERSION_DETAIL_LEN 64", "RT_VERSION_DETAIL_LEN is 128"),
        (
            "nrt_experimental.h",
            "    uint32_t *shape; /* ndim numbers, freed with the array */\n    uint32_t ndim;",
            "    uint32_t ndim;\n    uint32_t *shape;",
            "nrt_tensor_info is {name: [c_char; 256],",
        ),
        ("nrt.h", "size_t size, int32_t vnc", "uint32_t size, int32_t vnc", "nrt_load is (*const c_void, usize, i32"),
        (
            "nrt.h",
            "void nrt_close(void)",
            "NRT_STATUS nrt_close(void)",
            "nrt_close is () -> (), the SDK's is () -> c_uint",
        ),
        (
            "nrt.h",
            "nrt_unload(nrt_model_t *model)",
            "nrt_unload(nrt_tensor_t *model)",
            "nrt_unload is (*mut nrt_model) -> c_uint, the SDK's is (*mut nrt_tensor) -> c_uint",
        ),
    ];
    for (file, from, to, expected) in different {
        let Some(found) = differences_with(file, from, to) else { return };
        let found = found.unwrap();
        assert!(found.iter().any(|difference| difference.starts_with(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn headers_without_a_function_are_refused_by_its_name() {
    let Some(result) = differences_with("nrt.h", "nrt_execute_repeat", "nrt_execute_often") else { return };
    let error = result.unwrap_err();
    assert!(error.ends_with("nrt declares no nrt_execute_repeat"), "{error}");
}
