//! Compiling an op library with cargo: for this CPU, and into a kernel image.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use cargo_metadata::Message;
use gpsimd_emulator::gpsimd_descriptor::library_variables;

use super::source_paths;
use crate::process;
use crate::workspace::{OpCrate, is_same};

/// The Rust target of kernel images.
pub const IMAGE_TARGET: &str = "wasm32-unknown-unknown";

/// Bytes of a core's stack, which comes out of the TCM pool: what a walk over seven tensors needs (`dropout_norm_forward`).
const STACK_BYTES: u32 = 1152;

/// What a kernel image is compiled and linked with.
///
/// The stack comes first in memory, so that running out of it is running below 0. With its relocations an image keeps the
/// names of its statics, which the code generator looks at. Loops stay loops: LLVM would unroll
/// those over 16 lanes into scalars that no compiler makes vectors of again.
fn image_flags() -> Vec<String> {
    let link = ["--stack-first".to_string(), format!("-zstack-size={STACK_BYTES}"), "--emit-relocs".to_string()];
    let llvm =
        ["-unroll-full-max-count=0", "-unroll-threshold=0", "-unroll-runtime=false", "-unroll-allow-partial=false"];
    let link = link.iter().map(|argument| format!("-Clink-arg={argument}"));
    let llvm = llvm.iter().map(|argument| format!("-Cllvm-args={argument}"));
    link.chain(llvm).collect()
}

/// A profile of cargo: its name and settings.
type Profile = (&'static str, &'static [&'static str]);

/// The profile `kernels` of this workspace. Profiles are the workspace's, and a library may be of any: there, too, images
/// are what they are here, and panics are caught.
const PROFILE: Profile = (
    "kernels",
    &[
        "inherits='release'",
        "opt-level=3",
        "lto='fat'",
        "codegen-units=1",
        "panic='unwind'",
        "debug='line-tables-only'",
        "strip='none'",
    ],
);

/// For a debugger: every line and every variable is there. What is computed is the same: overflow of integers wraps, too.
const DEBUG_PROFILE: Profile = (
    "kernels-debug",
    &[
        "inherits='release'",
        "opt-level=0",
        "lto='off'",
        "panic='unwind'",
        "debug='full'",
        "strip='none'",
        "build-override.debug=false",
    ],
);

pub(super) enum Target<'a> {
    Host {
        cpu: &'a str,
    },
    /// This CPU, for a debugger.
    Debug,
    Image,
}

/// Compiles the crate and returns the path of its dynamic library, or of its image.
pub(super) fn compile(library: &OpCrate, target: &Target<'_>) -> anyhow::Result<PathBuf> {
    let manifest = library.manifest();
    let mut cargo = process::cargo();
    cargo.args(["build", "--lib", "--message-format=json-render-diagnostics", "--manifest-path"]).arg(manifest);
    let (profile, settings) = if matches!(target, Target::Debug) { DEBUG_PROFILE } else { PROFILE };
    for setting in settings {
        cargo.args(["--config", &format!("profile.{profile}.{setting}")]);
    }
    cargo.args(["--profile", profile]);
    let (mut flags, extension) = match target {
        Target::Host { cpu } => {
            check_cpu(cpu)?;
            cargo.args(["--target", &host_triple()?]);
            (vec![format!("-Ctarget-cpu={cpu}")], std::env::consts::DLL_EXTENSION)
        }
        Target::Debug => {
            cargo.args(["--target", &host_triple()?]);
            (vec!["-Ctarget-cpu=native".into()], std::env::consts::DLL_EXTENSION)
        }
        Target::Image => {
            cargo.args(["--target", IMAGE_TARGET]);
            (image_flags(), "wasm")
        }
    };
    // A debugger looks for the files.
    if !matches!(target, Target::Debug) {
        flags.extend(source_paths::flags(library.workspace().root())?);
    }
    // The flags need a build folder of their own: cargo would rebuild everything whenever they change. With an explicit
    // target they leave macros and build scripts alone, which both targets share.
    cargo.arg("--target-dir").arg(library.build_folder());
    cargo.envs(library_variables(library.library()));
    // Of all ways to set flags, the one that goes before the others: what the environment and configuration files say is
    // for other programs.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).env_remove("RUSTFLAGS");
    let messages = process::output(cargo.stdin(Stdio::null()))?;
    for message in Message::parse_stream(messages.as_bytes()) {
        let Message::CompilerArtifact(artifact) = message.context("cargo printed something unexpected")? else {
            continue;
        };
        if !is_same(artifact.manifest_path.as_std_path(), manifest) {
            continue;
        }
        if let Some(file) = artifact.filenames.iter().find(|file| file.extension() == Some(extension)) {
            return Ok(file.clone().into());
        }
    }
    bail!("{} builds no .{extension}: its [lib] needs crate-type = [\"cdylib\", \"rlib\"]", library.folder().display())
}

/// rustc only warns of a CPU that it does not know.
fn check_cpu(cpu: &str) -> anyhow::Result<()> {
    let known = process::output(Command::new("rustc").args(["--print", "target-cpus"]))?;
    let is_known = known.lines().any(|line| line.split_whitespace().next() == Some(cpu));
    ensure!(is_known, "rustc knows no CPU `{cpu}`: `rustc --print target-cpus` lists them");
    Ok(())
}

fn host_triple() -> anyhow::Result<String> {
    let version = process::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_string())
}

/// Installs the standard library of a Rust target, if it is missing.
pub fn ensure_target(target: &str) -> anyhow::Result<()> {
    let libraries = process::output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    process::run(Command::new("rustup").args(["target", "add", target])).with_context(|| {
        format!("the Rust target {target} is missing and could not be added: install it for this toolchain")
    })
}
