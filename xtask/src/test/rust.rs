//! The Rust tests, two test programs at a time: some wait for others, for a compiler or for a clock most of the time.

use std::process::Command;

use anyhow::Context;
use cargo_gpsimd::process;
use cargo_metadata::{Artifact, Message, MetadataCommand, Package};

use super::{cargo, workspace_tests};
use crate::two_at_a_time::two_at_a_time;
use crate::workspace;

/// Those that take longest.
const LONGEST: [&str; 7] = ["bring_up", "cargo_gpsimd", "check", "device_api", "debug", "package", "compile_fail"];

pub(super) fn test(slow: bool) -> anyhow::Result<()> {
    two_at_a_time(&Run::all()?, Run::run)?;
    if slow {
        process::run(&mut every_f32())?;
    }
    Ok(())
}

/// One start of a test program, or of all tests in documentation.
enum Run {
    Program(Box<Artifact>, Box<Package>),
    Documentation,
}

impl Run {
    /// All tests of the workspace, built, those that take longest first.
    fn all() -> anyhow::Result<Vec<Self>> {
        let metadata = MetadataCommand::new().current_dir(workspace::root()).no_deps().exec()?;
        let mut runs = Vec::new();
        for artifact in build()? {
            let package = metadata.packages.iter().find(|package| package.id == artifact.package_id);
            let package = package.with_context(|| format!("{} is no member", artifact.package_id))?.clone();
            runs.push(Self::Program(Box::new(artifact), Box::new(package)));
        }
        runs.sort_by_key(Self::place);
        runs.push(Self::Documentation);
        Ok(runs)
    }

    fn place(&self) -> usize {
        let Self::Program(artifact, _) = self else { return usize::MAX };
        LONGEST.iter().position(|name| *name == artifact.target.name).unwrap_or(LONGEST.len())
    }

    fn run(&self) -> anyhow::Result<()> {
        let Self::Program(artifact, package) = self else {
            return process::run(workspace_tests().arg("--doc"));
        };
        let executable = artifact.executable.as_ref().expect("a test program");
        let folder = package.manifest_path.parent().expect("a manifest is in a folder");
        // As cargo runs it.
        let mut program = Command::new(executable);
        program
            .current_dir(folder)
            .env("CARGO_MANIFEST_DIR", folder)
            .env("CARGO_PKG_NAME", package.name.as_str())
            .env("CARGO_PKG_VERSION", package.version.to_string());
        process::run(&mut program).with_context(|| format!("tests of {}, {}", package.name, artifact.target.src_path))
    }
}

/// Builds all test programs. `cargo test --lib`, which could run a part of them, builds those of the libraries without tests, too.
fn build() -> anyhow::Result<Vec<Artifact>> {
    let messages =
        process::output(workspace_tests().args(["--no-run", "--message-format", "json-render-diagnostics"]))?;
    let mut programs = Vec::new();
    for message in Message::parse_stream(messages.as_bytes()) {
        match message.context("cargo's messages")? {
            Message::CompilerArtifact(artifact) if artifact.profile.test && artifact.executable.is_some() => {
                programs.push(artifact);
            }
            _ => {}
        }
    }
    Ok(programs)
}

/// Prints its progress, and the errors that the documentation of `gpsimd::math` quotes.
fn every_f32() -> Command {
    let mut tests = cargo();
    tests
        .args(["test", "--release", "--package", "gpsimd", "--test", "math_accuracy", "--", "--ignored", "--nocapture"])
        .env("RUSTFLAGS", "-Ctarget-cpu=native");
    tests
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn those_that_take_longest_are_there() {
        let metadata = MetadataCommand::new().current_dir(workspace::root()).no_deps().exec().expect("the workspace");
        let targets: Vec<_> = metadata.packages.iter().flat_map(|package| &package.targets).collect();
        for name in LONGEST {
            assert!(targets.iter().any(|target| target.test && target.name == name), "{name}");
        }
    }

    /// What cargo compiles for a command. Two that are the same share what was compiled.
    struct Graph {
        units: Vec<serde_json::Value>,
    }

    /// What tells one compiled crate from another: its package, how it is compiled, and of what.
    type Unit = (String, Vec<usize>);

    impl Graph {
        fn of(arguments: &[&str]) -> Self {
            // The pinned toolchain's.
            let options = ["--unit-graph", "-Zunstable-options"];
            let graph = process::output(cargo().args(arguments).args(options).env("RUSTC_BOOTSTRAP", "1"));
            let mut graph: serde_json::Value = serde_json::from_str(&graph.expect("a graph")).expect("JSON");
            let serde_json::Value::Array(units) = graph["units"].take() else { panic!("no units") };
            Self { units }
        }

        /// Numbers a unit, and those it is compiled of, by what they are.
        fn number(&self, index: usize, done: &mut BTreeMap<usize, usize>, known: &mut BTreeMap<Unit, usize>) -> usize {
            if let Some(number) = done.get(&index) {
                return *number;
            }
            let unit = &self.units[index];
            let what = ["pkg_id", "features", "mode", "platform", "target"].map(|key| unit[key].to_string()).join(" ");
            let dependencies = unit["dependencies"].as_array().expect("a list").iter();
            let mut of: Vec<_> = dependencies
                .map(|of| self.number(of["index"].as_u64().expect("a number") as usize, done, known))
                .collect();
            of.sort_unstable();
            let next = known.len();
            let number = *known.entry((what, of)).or_insert(next);
            done.insert(index, number);
            number
        }

        fn numbers(&self, known: &mut BTreeMap<Unit, usize>) -> BTreeMap<usize, usize> {
            let mut done = BTreeMap::new();
            for index in 0..self.units.len() {
                self.number(index, &mut done, known);
            }
            done
        }
    }

    #[test]
    fn what_a_command_is_built_of_is_what_the_tests_are_built_of() {
        let of_tests = Graph::of(&["test", "--workspace", "--exclude", "gpsimd-torch", "--no-run"]);
        let of_commands = Graph::of(&["build", "--package", "xtask"]);
        let mut known = BTreeMap::new();
        let in_tests: BTreeSet<_> = of_tests.numbers(&mut known).into_values().collect();
        let compiled_again: Vec<_> = of_commands
            .numbers(&mut known)
            .into_iter()
            .filter(|(_, number)| !in_tests.contains(number))
            .map(|(index, _)| of_commands.units[index]["pkg_id"].as_str().expect("a name"))
            .filter(|package| !package.contains("/xtask#"))
            .collect();
        assert!(
            compiled_again.is_empty(),
            "compiled once for `cargo xtask` and once for the tests, for features that xtask's Cargo.toml does not ask \
             for, or for such dependencies: {compiled_again:#?}"
        );
    }
}
