//! `cargo gpsimd doctor`: what is there, what is missing, and what brings it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use gpsimd_neuron_sdk::{Finding, FindingState, Sdk, table};

use crate::causes;
use crate::workspace::Workspace;
use crate::{build, compiler, python};

/// Bytes that builds of an op library take, about.
const SPACE: u64 = 2 << 30;

/// Show what is there to develop, and to build and run on Trn1 or Inf2, with a fix for what is missing.
///
/// Changes nothing and downloads nothing. A line starts with `ok`, `check` (it may not work), `wrong` or `missing`.
///
/// Exit status: 0 all is there to develop without a Trainium, 4 something is missing; with --neuron also 4 when something is
/// missing to build and run on Trn1 or Inf2.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo gpsimd doctor\n\
\x20 cargo gpsimd doctor --neuron && cargo gpsimd build --neuron\n\
\x20 cargo gpsimd doctor --json | jq '.neuron[] | select(.state != \"ok\")'")]
pub struct Doctor {
    /// Fail when the Neuron SDK is not complete
    #[arg(long)]
    neuron: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What a host has.
#[derive(serde::Serialize)]
struct Report {
    /// What developing without a Trainium takes.
    develop: Vec<Finding>,
    /// What building and running on Trn1 or Inf2 takes.
    neuron: Vec<Finding>,
}

/// Something is missing; the lines above say what.
#[derive(Debug)]
pub struct Missing {
    pieces: usize,
    purpose: &'static str,
}

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pieces, purpose } = self;
        write!(f, "{pieces} required component{} missing to {purpose}", if *pieces == 1 { " is" } else { "s are" })
    }
}

impl Doctor {
    /// Prints the report.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn run(self) -> anyhow::Result<()> {
        let workspace = Workspace::here()?;
        let report = Report { develop: to_develop(&workspace), neuron: Sdk::locate().findings().to_vec() };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{}", report.text());
        }
        Ok(report.check(self.neuron)?)
    }
}

impl Report {
    fn text(&self) -> String {
        format!(
            "to develop without a Trainium\n{}\nto build and run on Trn1 or Inf2\n{}",
            table(&self.develop),
            table(&self.neuron)
        )
    }

    fn check(&self, neuron: bool) -> Result<(), Missing> {
        let sections = [(true, &self.develop, "develop"), (neuron, &self.neuron, "build and run on Trn1 or Inf2")];
        for (counts, findings, purpose) in sections {
            let pieces = findings.iter().filter(|finding| !finding.state.is_usable()).count();
            if counts && pieces > 0 {
                return Err(Missing { pieces, purpose });
            }
        }
        Ok(())
    }
}

/// What developing without a Trainium takes.
pub(crate) fn to_develop(workspace: &Workspace) -> Vec<Finding> {
    vec![
        rustc(),
        image_target(),
        c_compiler(),
        cpp_compiler(workspace),
        system_python(),
        package(python::find_package(workspace, "gpsimd_torch").map(|(_, folder)| folder)),
        isa_tools(),
        space(workspace),
    ]
}

fn rustc() -> Finding {
    let name = "rustc";
    match answer("rustc", &["--version"]) {
        Some(version) => Finding { version: Some(version), ..Finding::ok(name) },
        None => Finding::missing(name, "install Rust with rustup, from https://rustup.rs"),
    }
}

fn image_target() -> Finding {
    let name = "Rust target";
    let target = build::IMAGE_TARGET;
    let libraries = answer("rustc", &["--print", "target-libdir", "--target", target]);
    let found = Finding { version: Some(target.into()), ..Finding::ok(name) };
    if libraries.is_some_and(|folder| Path::new(&folder).is_dir()) {
        found
    } else if answer("rustup", &["--version"]).is_some() {
        Finding { note: Some("not installed yet: `cargo gpsimd build` adds it with rustup".into()), ..found }
    } else {
        let fix = format!("install {target} for this toolchain; with rustup: rustup target add {target}");
        Finding { version: Some(target.into()), ..Finding::missing(name, fix) }
    }
}

/// rustc links with it.
fn c_compiler() -> Finding {
    let name = "C compiler";
    let command = std::env::var("CC").ok().filter(|command| !command.is_empty()).unwrap_or_else(|| "cc".into());
    match answer(&command, &["--version"]) {
        Some(version) => Finding { version: Some(version), path: Some(command.into()), ..Finding::ok(name) },
        None => Finding::missing(name, "install one (on Debian and Ubuntu: sudo apt-get install build-essential)"),
    }
}

fn cpp_compiler(workspace: &Workspace) -> Finding {
    let name = "C++ compiler";
    match compiler::find(workspace).and_then(|compiler| Ok(compiler.version()?)) {
        Ok(version) => Finding { version: Some(version), ..Finding::ok(name) },
        Err(error) => Finding::missing(name, causes(&error)),
    }
}

fn system_python() -> Finding {
    let name = "Python";
    let python = match python::system_python() {
        Ok(python) => python,
        Err(error) => return Finding::missing(name, causes(&error)),
    };
    let version = answer(&python, &["-c", "import platform; print(platform.python_version())"]);
    let found = Finding { version, path: Some(python.clone().into()), ..Finding::ok(name) };
    if answer(&python, &["-c", "import ensurepip, venv; print()"]).is_none() {
        let fix = "install it (on Debian and Ubuntu: sudo apt-get install python3-venv)";
        return found.but(FindingState::Wrong, "its module `venv` is missing or broken", fix);
    }
    found
}

/// Nothing but Python needs the package, which is in this folder.
fn package(folder: Option<PathBuf>) -> Finding {
    let found = Finding::ok("gpsimd_torch");
    if folder.is_some() {
        return Finding { path: folder, ..found };
    }
    let note = "not installed: what calls ops from PyTorch needs it";
    found.but(FindingState::Doubtful, note, "in a checkout of the SDK: python -m pip install torch ./host/torch")
}

/// Without them the tests of the isa tier are skipped; nothing else needs them.
fn isa_tools() -> Finding {
    let found = Finding::ok("Xtensa tools");
    let missing = gpsimd_isa::missing_tools();
    if missing.is_empty() {
        return Finding { note: Some("linker and QEMU of the isa tier".into()), ..found };
    }
    let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
    found.but(FindingState::Doubtful, "the isa tier is skipped", missing.join("; "))
}

fn space(workspace: &Workspace) -> Finding {
    let name = "disk space";
    // The build folder may not be there yet.
    let folder = workspace.target().ancestors().find(|folder| folder.exists()).unwrap_or(workspace.root());
    let free = match rustix::fs::statvfs(folder) {
        Ok(system) => system.f_bavail * system.f_frsize,
        Err(error) => return Finding { note: Some(format!("unknown: {error}")), ..Finding::ok(name) },
    };
    let found = Finding { version: Some(format!("{} GiB free", free >> 30)), ..Finding::ok(name) };
    if free >= SPACE {
        return found;
    }
    let note = format!("builds take up to {} GiB", SPACE >> 30);
    found.but(FindingState::Doubtful, note, "free some, or put the build folder elsewhere with $CARGO_TARGET_DIR")
}

/// The first line that a program prints; none if it fails.
fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let mut words = program.split_whitespace();
    let mut command = Command::new(words.next()?);
    let output = command.args(words).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(develop: FindingState, neuron: FindingState) -> Report {
        let finding = |state| Finding { version: Some("1.2".into()), ..Finding::ok("a piece") }.but(state, "n", "f");
        Report { develop: vec![finding(develop)], neuron: vec![finding(neuron), finding(neuron)] }
    }

    #[test]
    fn a_missing_sdk_is_a_failure_only_when_it_is_asked_for() {
        let report = report(FindingState::Doubtful, FindingState::Missing);
        assert!(report.check(false).is_ok());
        let missing = report.check(true).unwrap_err().to_string();
        assert_eq!(missing, "2 required components are missing to build and run on Trn1 or Inf2");
    }

    #[test]
    fn a_missing_python_package_is_no_failure_and_has_a_fix() {
        let finding = package(None);
        assert!(finding.state == FindingState::Doubtful && finding.fix.is_some(), "{finding}");
        assert_eq!(package(Some("folder".into())).state, FindingState::Ok);
    }

    #[test]
    fn what_is_missing_to_develop_always_is() {
        let missing = report(FindingState::Wrong, FindingState::Ok).check(false).unwrap_err().to_string();
        assert_eq!(missing, "1 required component is missing to develop");
    }

    #[test]
    fn the_report_has_two_sections() {
        insta::assert_snapshot!(report(FindingState::Ok, FindingState::Missing).text());
    }

    #[test]
    fn the_machine_that_runs_this_test_can_develop() {
        let findings = to_develop(&Workspace::here().unwrap());
        for name in ["rustc", "C compiler"] {
            let finding = findings.iter().find(|finding| finding.piece == name).unwrap();
            assert_eq!(finding.state, FindingState::Ok, "{finding}");
        }
    }
}
