//! The Rust tests, two test programs at a time: some wait for others, for a compiler or for a clock most of the time.

use std::collections::BTreeSet;

use cargo_gpsimd::process;
use cargo_metadata::{Metadata, MetadataCommand, TargetKind};

use super::{Command, cargo, workspace_tests};
use crate::two_at_a_time::two_at_a_time;
use crate::workspace;

/// Those that take longest. The unit tests of crates come next.
const LONGEST: [&str; 2] = ["bring_up", "check"];

pub(super) fn test(slow: bool) -> anyhow::Result<()> {
    process::run(workspace_tests().arg("--no-run"))?;
    let metadata = MetadataCommand::new().current_dir(workspace::root()).no_deps().exec()?;
    two_at_a_time(&runs(&metadata), |arguments| process::run(workspace_tests().args(arguments)))?;
    if slow {
        process::run(&mut every_f32())?;
    }
    Ok(())
}

/// The arguments of the calls of `cargo test` that together run all tests, the longest first.
fn runs(metadata: &Metadata) -> Vec<Vec<String>> {
    let targets = metadata.packages.iter().flat_map(|package| &package.targets);
    // In two crates two may have the same name: they run together.
    let tests: BTreeSet<_> =
        targets.filter(|target| target.is_kind(TargetKind::Test)).map(|target| target.name.as_str()).collect();
    let (longest, others): (Vec<_>, Vec<_>) = tests.into_iter().partition(|name| LONGEST.contains(name));
    let of_names = |names: &[&str]| names.iter().flat_map(|name| ["--test".to_owned(), (*name).to_owned()]).collect();
    let mut runs: Vec<Vec<String>> = longest.iter().map(|name| of_names(&[name])).collect();
    runs.push(vec!["--lib".into(), "--bins".into()]);
    runs.push(of_names(&others));
    runs.push(vec!["--doc".into()]);
    runs
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
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_test_program_runs_once() {
        let metadata = MetadataCommand::new().current_dir(workspace::root()).no_deps().exec().expect("the workspace");
        let targets: Vec<_> = metadata.packages.iter().flat_map(|package| &package.targets).collect();
        let runs = runs(&metadata).concat();
        for name in targets.iter().filter(|target| target.is_kind(TargetKind::Test)).map(|target| &target.name) {
            assert_eq!(runs.iter().filter(|argument| *argument == name).count(), 1, "{name}: {runs:?}");
        }
        assert!(LONGEST.iter().all(|name| targets.iter().any(|target| target.name == *name)), "{LONGEST:?}");
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
