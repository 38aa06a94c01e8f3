//! Chooses the bindings of libnrt: made from the SDK's headers where these are installed, else the committed ones, which
//! are made from `include/nrt` and need no libclang.

use std::path::{Path, PathBuf};
use std::{env, fs, panic};

#[path = "src/bindings/generate.rs"]
mod generate;

/// Where the SDK's packages put it.
const SDK_ROOT: &str = "/opt/aws/neuron";
const COMMITTED: &str = "src/bindings/documented.rs";

fn main() {
    for variable in ["GPSIMD_NRT_HEADERS", "NEURON_SDK_ROOT"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/bindings");
    let bindings = match sdk_headers() {
        None => PathBuf::from(variable("CARGO_MANIFEST_DIR")).join(COMMITTED),
        Some(include) => match from_sdk(&include) {
            Ok(bindings) => bindings,
            Err(problem) => {
                println!(
                    "cargo::error=no bindings from the SDK's headers in {}: {problem}; GPSIMD_NRT_HEADERS=own builds \
                     with the headers of gpsimd instead",
                    include.display()
                );
                return;
            }
        },
    };
    println!("cargo::rustc-env=GPSIMD_NRT_BINDINGS={}", bindings.display());
}

/// The SDK's folder of headers, unless it is not there or not wanted.
fn sdk_headers() -> Option<PathBuf> {
    let wanted = env::var("GPSIMD_NRT_HEADERS").unwrap_or_default();
    match wanted.as_str() {
        "own" => return None,
        "" | "sdk" => {}
        other => println!("cargo::error=GPSIMD_NRT_HEADERS is `{other}`: it can be `own` or `sdk`"),
    }
    let root = env::var_os("NEURON_SDK_ROOT").map_or_else(|| PathBuf::from(SDK_ROOT), PathBuf::from);
    let include = root.join("include");
    let header = include.join("nrt/nrt.h");
    if let Some(there) = nearest(&header) {
        println!("cargo::rerun-if-changed={}", there.display());
    }
    if !header.is_file() && wanted == "sdk" {
        println!(
            "cargo::error=GPSIMD_NRT_HEADERS is `sdk` and there is no {}: install aws-neuronx-runtime-lib, or name the \
             SDK's folder in NEURON_SDK_ROOT",
            header.display()
        );
    }
    header.is_file().then_some(include)
}

/// The header, or the last folder on the way to it that is there, `/opt` at most, or the one that the environment names: cargo
/// takes a file that is not there for one that has changed, and would compile this crate, and all that use it, at every
/// command.
fn nearest(header: &Path) -> Option<&Path> {
    let first = env::var_os("NEURON_SDK_ROOT").map_or_else(|| PathBuf::from("/opt"), PathBuf::from);
    header.ancestors().take_while(|path| path.starts_with(&first)).find(|path| path.exists())
}

fn from_sdk(include: &Path) -> Result<PathBuf, String> {
    println!("cargo::rerun-if-env-changed=LIBCLANG_PATH");
    // bindgen panics where there is no libclang; that is to be read as advice, not as a backtrace.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(|| generate::generate(include));
    panic::set_hook(hook);
    let source = result.map_err(|panic| advice(&*panic))??;
    let file = PathBuf::from(variable("OUT_DIR")).join("nrt.rs");
    fs::write(&file, source).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    Ok(file)
}

fn advice(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("bindgen panicked").lines().next().unwrap_or_default();
    if text.contains("libclang") {
        return "bindgen finds no libclang: install it, or name the folder of libclang.so in LIBCLANG_PATH".to_owned();
    }
    text.to_owned()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
