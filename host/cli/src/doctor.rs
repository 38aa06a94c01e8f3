//! `cargo xtask doctor`: what is there, what is missing, and what brings it.

use std::fmt;
use std::path::Path;
use std::process::Command;

use gpsimd_neuron::sdk::{Finding, Sdk, State, table};

use crate::{build, python, workspace};

/// Bytes that `.venv` and the build folder take, about.
const SPACE: u64 = 12 << 30;
/// Of these, what builds take once `.venv` is there.
const SPACE_TO_BUILD: u64 = 4 << 30;

/// Show what is there to develop, and to build and run on Trn1 or Inf2, with a fix for what is missing.
///
/// Changes nothing and downloads nothing. A line starts with `ok`, `check` (it may not work), `wrong` or `missing`.
///
/// Exit status: 0 all is there to develop without a Trainium, 4 something is missing; with --neuron also 4 when something is
/// missing to build and run on Trn1 or Inf2.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask doctor\n\
\x20 cargo xtask doctor --neuron && cargo xtask build-kernels --neuron\n\
\x20 cargo xtask doctor --json | jq '.neuron[] | select(.state != \"ok\")'")]
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
        write!(f, "{pieces} of the lines above {} not ok to {purpose}", if *pieces == 1 { "is" } else { "are" })
    }
}

impl Doctor {
    /// Prints the report.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn run(self) -> anyhow::Result<()> {
        let report = Report { develop: to_develop(), neuron: Sdk::locate().findings().to_vec() };
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

fn to_develop() -> Vec<Finding> {
    let has_environment = workspace::root().join(".venv/packages.stamp").is_file();
    vec![
        rustc(),
        image_target(),
        c_compiler(),
        cpp_compiler(),
        system_python(),
        environment(has_environment),
        isa_tools(),
        space(if has_environment { SPACE_TO_BUILD } else { SPACE }),
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
        Finding { note: Some("not installed yet: build-kernels adds it with rustup".into()), ..found }
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

fn cpp_compiler() -> Finding {
    let name = "C++ compiler";
    match build::compiler().and_then(|compiler| Ok(compiler.version()?)) {
        Ok(version) => Finding { version: Some(version), ..Finding::ok(name) },
        Err(error) => Finding::missing(name, format!("{error:#}")),
    }
}

fn system_python() -> Finding {
    let name = "Python";
    let python = match python::system_python() {
        Ok(python) => python,
        Err(error) => return Finding::missing(name, format!("{error:#}")),
    };
    let version = answer(&python, &["-c", "import platform; print(platform.python_version())"]);
    let found = Finding { version, path: Some(python.clone().into()), ..Finding::ok(name) };
    if answer(&python, &["-c", "import ensurepip, venv; print()"]).is_none() {
        let fix = "install it (on Debian and Ubuntu: sudo apt-get install python3-venv)";
        return found.but(State::Wrong, "its module `venv` is missing or broken", fix);
    }
    found
}

fn environment(is_there: bool) -> Finding {
    let found = Finding { path: Some(".venv".into()), ..Finding::ok("Python environment") };
    if is_there {
        return found;
    }
    let note = "not set up yet: `cargo xtask train` and `cargo xtask test` do that, with about 3 GB of downloads";
    Finding { note: Some(note.into()), ..found }
}

/// Without them the tests of the isa tier are skipped; nothing else needs them.
fn isa_tools() -> Finding {
    let found = Finding::ok("Xtensa tools");
    let missing = gpsimd_isa::missing_tools();
    if missing.is_empty() {
        return Finding { note: Some("linker and QEMU of the isa tier".into()), ..found };
    }
    let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
    found.but(State::Doubtful, "the isa tier is skipped", missing.join("; "))
}

fn space(needed: u64) -> Finding {
    let name = "disk space";
    let root = workspace::root().to_string_lossy();
    // In the format of POSIX: the fourth column of the last line has what is left, in KiB.
    let free = Command::new("df").args(["-Pk", &root]).output().ok();
    let free = free.and_then(|output| {
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines().last()?.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    let Some(free) = free.map(|kib| kib << 10) else {
        return Finding { note: Some("unknown: `df -Pk` does not say".into()), ..Finding::ok(name) };
    };
    let found = Finding { version: Some(format!("{} GiB free", free >> 30)), ..Finding::ok(name) };
    if free >= needed {
        return found;
    }
    let note = format!("builds and the Python environment take up to {} GiB more", needed >> 30);
    found.but(State::Doubtful, note, "free some, or put the build folder elsewhere with $CARGO_TARGET_DIR")
}

/// The first line that a program prints; none if it fails.
fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let mut words = program.split_whitespace();
    let mut command = Command::new(words.next()?);
    let output = command.args(words).args(arguments).current_dir(workspace::root()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(develop: State, neuron: State) -> Report {
        let finding = |state| Finding { version: Some("1.2".into()), ..Finding::ok("a piece") }.but(state, "n", "f");
        Report { develop: vec![finding(develop)], neuron: vec![finding(neuron), finding(neuron)] }
    }

    #[test]
    fn a_missing_sdk_is_a_failure_only_when_it_is_asked_for() {
        let report = report(State::Doubtful, State::Missing);
        assert!(report.check(false).is_ok());
        let missing = report.check(true).unwrap_err().to_string();
        assert_eq!(missing, "2 of the lines above are not ok to build and run on Trn1 or Inf2");
    }

    #[test]
    fn what_is_missing_to_develop_always_is() {
        let missing = report(State::Wrong, State::Ok).check(false).unwrap_err().to_string();
        assert_eq!(missing, "1 of the lines above is not ok to develop");
    }

    #[test]
    fn the_report_has_two_sections() {
        insta::assert_snapshot!(report(State::Ok, State::Missing).text());
    }

    #[test]
    fn the_machine_that_runs_this_test_can_develop() {
        let findings = to_develop();
        for name in ["rustc", "C compiler"] {
            let finding = findings.iter().find(|finding| finding.piece == name).unwrap();
            assert_eq!(finding.state, State::Ok, "{finding}");
        }
    }
}
