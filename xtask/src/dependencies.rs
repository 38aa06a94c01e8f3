//! What the dependencies may be: their licences and sources, against `deny.toml`. The whole check, with advisories, is
//! `cargo deny`'s; this part needs nothing that is not a library, so that every change passes it everywhere.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use cargo_gpsimd::process;
use cargo_metadata::{MetadataCommand, Package};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::workspace;

/// The only registry.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The part of `deny.toml` that is checked here.
#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

/// Refuses dependencies whose licence or source `deny.toml` does not allow.
pub(crate) fn check() -> anyhow::Result<()> {
    let text = fs::read_to_string(workspace::root().join("deny.toml")).context("cannot read deny.toml")?;
    let deny: Deny = toml::from_str(&text).context("deny.toml")?;
    let allowed = deny.licenses.allow.iter().map(|name| Licensee::parse(name));
    let allowed: Vec<_> = allowed.collect::<Result<_, _>>().context("deny.toml, licenses.allow")?;
    let metadata = MetadataCommand::new()
        .current_dir(workspace::root())
        .other_options(["--locked".into()])
        .exec()
        .context("cannot list the dependencies")?;
    let refusals: Vec<_> = metadata
        .packages
        .iter()
        .filter_map(|package| refusal(package, &allowed).map(|reason| format!("{} {reason}", package.id)))
        .collect();
    if !refusals.is_empty() {
        bail!("dependencies that deny.toml does not allow:\n{}", refusals.join("\n"));
    }
    let deny = Command::new("cargo-deny").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if deny.is_ok_and(|status| status.success()) {
        let mut command = process::cargo();
        command.current_dir(workspace::root());
        process::run(command.args(["deny", "--all-features", "check", "bans", "licenses", "sources"]))?;
    }
    Ok(())
}

/// Why a package is not allowed.
fn refusal(package: &Package, allowed: &[Licensee]) -> Option<String> {
    match &package.source {
        Some(source) if source.repr != CRATES_IO => return Some(format!("is from {source}, not from crates.io")),
        _ => {}
    }
    let Some(license) = &package.license else { return Some("states no licence".into()) };
    match Expression::parse_mode(license, ParseMode::LAX) {
        Err(error) => Some(format!("has the licence `{license}`, which is not an SPDX expression: {}", error.reason)),
        Ok(expression) if !expression.evaluate(|term| allowed.iter().any(|license| license.satisfies(term))) => {
            Some(format!("has the licence `{license}`"))
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn package(license: Option<&str>, source: Option<&str>) -> Package {
        let metadata = serde_json::json!({
            "name": "a", "version": "1.0.0", "id": "a", "license": license, "source": source, "dependencies": [],
            "targets": [], "features": {}, "manifest_path": "/a/Cargo.toml",
        });
        serde_json::from_value(metadata).expect("the form of cargo metadata")
    }

    fn refusal_of(license: Option<&str>, source: Option<&str>) -> Option<String> {
        let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"];
        refusal(&package(license, source), &allowed.map(|name| Licensee::parse(name).expect("a licence")))
    }

    /// Every dependency that is built for `cargo xtask`, with its features, the tests of the workspace are built with, too.
    #[test]
    fn no_dependency_is_built_twice() {
        let features = |arguments: &[&str]| -> BTreeSet<String> {
            let mut tree = process::cargo();
            tree.current_dir(workspace::root()).args(["tree", "--locked", "--prefix=none", "--format={p} {f}"]);
            let tree = process::output(tree.args(arguments)).expect("the dependencies");
            tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
        };
        let ours = features(&["--package=xtask", "--edges=normal,build"]);
        let all = features(&["--workspace", "--exclude=gpsimd-torch", "--edges=normal,build,dev"]);
        assert!(ours.len() > 50, "{ours:?}");
        let twice: Vec<_> = ours.difference(&all).collect();
        assert!(twice.is_empty(), "the tests want more features: name them in xtask/Cargo.toml\n{twice:#?}");
    }

    #[test]
    fn a_license_that_is_not_allowed_is_refused() {
        for license in ["GPL-3.0-only", "MIT AND MPL-2.0", "Apache-2.0", "whatever"] {
            let reason = refusal_of(Some(license), Some(CRATES_IO)).expect(license);
            assert!(reason.contains(license), "{reason}");
        }
        assert!(refusal_of(None, Some(CRATES_IO)).is_some());
    }

    #[test]
    fn one_of_several_licenses_is_enough() {
        for license in ["MIT", "GPL-3.0-only OR MIT", "Apache-2.0/MIT", "(GPL-2.0 OR MIT) AND Unicode-3.0"] {
            assert_eq!(refusal_of(Some(license), Some(CRATES_IO)), None, "{license}");
        }
        assert_eq!(refusal_of(Some("Apache-2.0 WITH LLVM-exception"), None), None);
    }

    #[test]
    fn a_source_other_than_crates_io_is_refused() {
        for source in ["git+https://github.com/a/a?rev=1#1", "registry+https://example.com/index"] {
            let reason = refusal_of(Some("MIT"), Some(source)).expect(source);
            assert!(reason.contains(source), "{reason}");
        }
        assert_eq!(refusal_of(Some("MIT"), None), None, "a crate of this workspace");
    }
}
