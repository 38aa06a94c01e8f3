//! [`build`]: from the crate of an op library to an Xtensa program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gpsimd_descriptor::library_variables;

use crate::error::IsaError;
use crate::toolchain::{self, ensure_nightly, missing_tools};

/// rustc's description of the target: the base ISA with what the lx106 of QEMU has of it. No float unit (LLVM cannot
/// select its constants yet) and no windowed calls (a core has them; no linker that is packaged does).
const TARGET: &str = include_str!("xtensa-gpsimd.json");
const TARGET_NAME: &str = "xtensa-gpsimd";

/// The crate of the program: the library and the runner, and nothing of its own.
const MAIN: &str = "//! Written by `cargo gpsimd build --isa`.
#![no_std]
#![no_main]
extern crate gpsimd_isa_runner as _;
extern crate op_library as _;
";

/// Builds the program of the op library whose crate is in the folder `library`, and returns its path. `target` is
/// cargo's build folder, where `core` for the target stays from one library to the next. `runner` is the value of a
/// dependency on `gpsimd-isa-runner`, in TOML: of the version of this crate, from where the library takes `gpsimd`
/// from. Paths of sources in messages are without these of `left_out` that they begin with, and without the library's
/// workspace.
///
/// Installs the pinned nightly with rustup if it is missing.
///
/// # Errors
/// When a tool is missing, the folder is not a crate, or the crate does not compile.
pub fn build(library: &Path, target: &Path, runner: &str, left_out: &[PathBuf]) -> Result<PathBuf, IsaError> {
    if let Some(missing) = missing_tools().into_iter().next() {
        return Err(missing.into());
    }
    ensure_nightly()?;
    let crate_of_library = Crate::read(library)?;
    let program = crate_of_library.name.replace('-', "_");
    let folder = target.join("programs").join(&program);
    write(&folder.join("Cargo.toml"), &manifest(&program, &crate_of_library, runner))?;
    write(&folder.join("src/main.rs"), MAIN)?;
    let description = folder.join(format!("{TARGET_NAME}.json"));
    write(&description, TARGET)?;
    // The same versions of everything that the library is built with elsewhere.
    let lock = crate_of_library.workspace.join("Cargo.lock");
    if let Ok(lock) = fs::read_to_string(&lock) {
        write(&folder.join("Cargo.lock"), &lock)?;
    }

    let mut cargo = toolchain::nightly("cargo");
    cargo
        .args(["build", "--release", "-Zbuild-std=core", "-Zbuild-std-features=compiler-builtins-mem"])
        .args(["-Zjson-target-spec", "--target"])
        .arg(&description)
        .arg("--target-dir")
        .arg(target)
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .envs(library_variables(&crate_of_library.library))
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&crate_of_library, left_out))
        .env_remove("RUSTFLAGS");
    run(&mut cargo)?;
    Ok(target.join(TARGET_NAME).join("release").join(program))
}

fn manifest(program: &str, library: &Crate, runner: &str) -> String {
    // JSON strings are TOML strings.
    let text = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        r#"# Written by `cargo gpsimd build --isa`.
[package]
name = {program}
version = "0.0.0"
edition = "2024"
publish = false

[workspace]

[dependencies]
gpsimd-isa-runner = {runner}
op_library = {{ path = {path}, package = {package} }}

[profile.release]
lto = "fat"
codegen-units = 1
panic = "abort"
debug = "line-tables-only"
"#,
        program = text(program),
        path = text(&library.folder.to_string_lossy()),
        package = text(&library.name),
    )
}

fn flags(library: &Crate, left_out: &[PathBuf]) -> String {
    let flags = [
        // LLVM runs out of registers in the printing and parsing of floats: `core` without them. A kernel that prints
        // floats with `core::fmt` does not compile; `gpsimd::print!` is the host's printing.
        "--cfg=no_fp_fmt_parse".to_owned(),
        // rustc warns of every crate that the target has no windowed calls, which is meant.
        "-Awarnings".to_owned(),
    ];
    // Places in messages are then those of the native library.
    let folders = left_out.iter().chain([&library.workspace]);
    let remapped = folders.map(|folder| format!("--remap-path-prefix={}/=", folder.display()));
    flags.into_iter().chain(remapped).collect::<Vec<_>>().join("\x1f")
}

/// The crate of an op library.
struct Crate {
    name: String,
    /// Name of its library target.
    library: String,
    folder: PathBuf,
    workspace: PathBuf,
}

impl Crate {
    fn read(folder: &Path) -> Result<Self, IsaError> {
        let refused = |problem: &str| IsaError::NoLibrary { folder: folder.into(), problem: problem.into() };
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest.canonicalize().map_err(|_| refused("it has no Cargo.toml"))?;
        let mut cargo = toolchain::nightly("cargo");
        cargo.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        let metadata: serde_json::Value =
            serde_json::from_str(&run(&mut cargo)?).map_err(|error| refused(&error.to_string()))?;
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let package = packages
            .into_iter()
            .find(|package| package["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest))
            .ok_or_else(|| refused("its Cargo.toml is a workspace, not a crate"))?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let targets = package["targets"].as_array().into_iter().flatten();
        let is_library = |kind: &serde_json::Value| kind.as_str().is_some_and(|kind| kind.ends_with("lib"));
        let library = targets
            .into_iter()
            .find(|target| target["kind"].as_array().into_iter().flatten().any(is_library))
            .ok_or_else(|| refused("it has no library"))?;
        Ok(Self {
            name: text(&package["name"]),
            library: text(&library["name"]).replace('-', "_"),
            folder: manifest.parent().unwrap_or(folder).to_path_buf(),
            workspace: text(&metadata["workspace_root"]).into(),
        })
    }
}

/// Runs a command and returns its standard output.
pub(crate) fn run(command: &mut Command) -> Result<String, IsaError> {
    let shown = || {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    };
    let shown = shown();
    let output = command.output().map_err(|source| IsaError::Start { command: shown.clone(), source })?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(if output.contains("without an emergency spill slot") {
            IsaError::Frame { output }
        } else {
            IsaError::Command { command: shown, output }
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Writes a file unless it is the same already: cargo goes by times.
pub(crate) fn write(path: &Path, content: &str) -> Result<(), IsaError> {
    if fs::read_to_string(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(file("make", folder))?;
    }
    fs::write(path, content).map_err(file("write", path))
}

pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> IsaError + use<> {
    let path = path.to_path_buf();
    move |source| IsaError::File { action, path, source }
}
