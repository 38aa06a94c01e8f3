//! What has to be installed: the pinned nightly, which has the Xtensa backend, a linker, and QEMU.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use crate::error::IsaError;

/// The toolchain that compiles programs, and the only place that names it. Stable rustc has no Xtensa target, and no
/// way to build `core` for one that is described in a file.
pub const NIGHTLY: &str = "nightly-2026-10-15";

/// The linker of the base Xtensa ISA, call0 ABI.
pub(crate) const LINKER: &str = "xtensa-lx106-elf-ld";
/// Runs a program.
pub(crate) const QEMU: &str = "qemu-xtensa";

/// A program of the system that the tier needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingTool {
    program: &'static str,
    debian_package: &'static str,
}

impl std::error::Error for MissingTool {}

impl fmt::Display for MissingTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, debian_package } = self;
        write!(f, "{program} is not installed (Debian, Ubuntu: apt-get install {debian_package})")
    }
}

/// The programs that are not installed; none when the tier can be built and run.
pub fn missing_tools() -> Vec<MissingTool> {
    [(LINKER, "binutils-xtensa-lx106"), (QEMU, "qemu-user")]
        .into_iter()
        .filter(|(program, _)| !runs(Command::new(program).arg("--version")))
        .map(|(program, debian_package)| MissingTool { program, debian_package })
        .collect()
}

/// Installs the nightly and the source of `core` with rustup, if they are not there.
///
/// # Errors
/// When rustup is missing or fails.
pub fn ensure_nightly() -> Result<(), IsaError> {
    if source_of_std().is_some_and(|source| source.join("core").is_dir()) {
        return Ok(());
    }
    let arguments = ["toolchain", "install", NIGHTLY, "--profile", "minimal", "--component", "rust-src"];
    let failed = |output| {
        let command = format!("rustup {}", arguments.join(" "));
        IsaError::NoNightly { toolchain: NIGHTLY, command, output }
    };
    let output = Command::new("rustup").args(arguments).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() { Ok(()) } else { Err(failed(String::from_utf8_lossy(&output.stderr).into_owned())) }
}

/// A command of the nightly.
pub(crate) fn nightly(program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", NIGHTLY, program]);
    command
}

/// Where the nightly has the source of the standard library, a cargo workspace; none without the nightly.
pub fn source_of_std() -> Option<PathBuf> {
    let output = nightly("rustc").args(["--print", "sysroot"]).output().ok()?;
    let sysroot = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(PathBuf::from(sysroot.trim()).join("lib/rustlib/src/rust/library"))
}

fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
