//! `cargo xtask package`: what people will install, built from what will be published, and tried where there is no checkout.

mod registry;
mod tutorial;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use cargo_gpsimd::process;
use cargo_metadata::{Metadata, MetadataCommand, Package};

use self::tutorial::Tutorial;
use crate::python::{self, Python};
use crate::workspace;

/// Where all this happens.
struct Place {
    /// Cargo's build folder and home, and the registry: they stay from run to run.
    kept: PathBuf,
    /// Empty at the start, and not in the checkout: no `Cargo.toml` is above it.
    empty: tempfile::TempDir,
}

/// Packs and tries everything.
pub(crate) fn run() -> anyhow::Result<()> {
    let python = Python::set_up()?;
    let place = Place::new()?;
    let metadata =
        MetadataCommand::new().current_dir(workspace::root()).exec().context("cargo cannot resolve the workspace")?;
    let ours = published(&metadata);

    step(1, "packing the crates");
    check(&ours)?;
    pack(&ours)?;
    let packed = workspace::target().join("package");
    let standard_library = standard_library()?;
    let others: Vec<_> = [Some(&metadata), standard_library.as_ref()].into_iter().flatten().collect();
    let has_changed = registry::write(&place.registry(), &ours, &packed, &others)?;
    place.forget(&ours, has_changed)?;

    step(2, "building each from its .crate file");
    place.configure()?;
    place.build_all(&ours)?;
    let cli = place.install()?;

    step(3, "the wheels, in a fresh environment");
    let environment = place.kept.join("venv");
    let interpreter = python.with_wheels_alone(&environment)?.program("python");
    place.find_packages(&interpreter, &environment)?;

    step(4, "a new op");
    place.try_op(&cli, &interpreter)
}

fn step(number: u32, what: &str) {
    eprintln!("[{number}/4] {what}");
}

/// The crates that people can depend on.
fn published(metadata: &Metadata) -> Vec<&Package> {
    let is_published = |package: &&Package| package.publish.as_ref().is_none_or(|registries| !registries.is_empty());
    metadata.workspace_packages().into_iter().filter(is_published).collect()
}

/// What the isa tier builds `core` with, where it has its nightly: cargo resolves all of the standard library for that.
fn standard_library() -> anyhow::Result<Option<Metadata>> {
    let source =
        gpsimd_isa::source_of_std().map(|source| source.join("Cargo.toml")).filter(|manifest| manifest.is_file());
    let Some(manifest) = source else { return Ok(None) };
    let command = MetadataCommand::new().manifest_path(manifest).other_options(["--locked".into()]).cargo_command();
    // The manifest has features of a nightly.
    let mut nightly = Command::new("rustup");
    nightly.args(["run", gpsimd_isa::NIGHTLY, "cargo"]).args(command.get_args());
    Ok(Some(MetadataCommand::parse(process::output(&mut nightly)?)?))
}

/// What crates.io and docs.rs want to know of a crate, and what its users do.
fn check(ours: &[&Package]) -> anyhow::Result<()> {
    for package in ours {
        let folder = package.manifest_path.parent().context("a manifest is in a folder")?;
        let has_all = [
            ("description", package.description.is_some()),
            ("license", package.license.is_some()),
            ("repository", package.repository.is_some()),
            ("readme", package.readme.as_ref().is_some_and(|readme| folder.join(readme).is_file())),
            ("keywords", !package.keywords.is_empty()),
            ("categories", !package.categories.is_empty()),
            ("rust-version", package.rust_version.is_some()),
            ("package.metadata.docs.rs", package.metadata["docs"]["rs"].is_object()),
            ("file LICENSE-APACHE", folder.join("LICENSE-APACHE").is_file()),
            ("file LICENSE-MIT", folder.join("LICENSE-MIT").is_file()),
        ];
        let missing: Vec<_> = has_all.iter().filter(|(_, is_there)| !is_there).map(|(name, _)| *name).collect();
        ensure!(missing.is_empty(), "{}: a crate that is published has no {}", package.name, missing.join(", "));
    }
    Ok(())
}

fn pack(ours: &[&Package]) -> anyhow::Result<()> {
    // A crate that is renamed leaves its file.
    let mut cargo = process::cargo();
    cargo.current_dir(workspace::root()).args(["package", "--quiet", "--no-verify", "--allow-dirty"]);
    for package in ours {
        cargo.args(["--package", &package.name]);
    }
    process::run(&mut cargo)
}

impl Place {
    fn new() -> anyhow::Result<Self> {
        let kept = workspace::target().join("packaging");
        fs::create_dir_all(&kept).with_context(|| format!("cannot make {}", kept.display()))?;
        let empty =
            tempfile::Builder::new().prefix("gpsimd-packaging-").tempdir().context("cannot make an empty folder")?;
        Ok(Self { kept: kept.canonicalize()?, empty })
    }

    fn registry(&self) -> PathBuf {
        self.kept.join("registry")
    }

    /// Cargo takes what it has of a version for what the version always is. It is not, where a version is packed again.
    fn forget(&self, ours: &[&Package], has_changed: bool) -> anyhow::Result<()> {
        if !has_changed {
            return Ok(());
        }
        let is_ours = |name: &OsStr| {
            let name = name.to_string_lossy();
            ours.iter().any(|package| {
                let rest = name.strip_prefix(package.name.as_str());
                rest.and_then(|rest| rest.strip_prefix('-')).is_some_and(|rest| !rest.contains('-'))
            })
        };
        // What is unpacked is in home/registry/src/<registry>; what is built, in <target>/**/.fingerprint.
        let home = self.kept.join("home/registry/src");
        let targets = ["debug", "release", "op-libraries", "composed-libraries", "composed-libraries-2", "isa"]
            .map(|name| self.kept.join("target").join(name));
        for root in [home].into_iter().chain(targets) {
            remove(&root, 4, &is_ours)?;
        }
        Ok(())
    }

    /// Cargo's settings, in a home of its own, which `cargo install` alone looks at: nothing but the registry.
    fn configure(&self) -> anyhow::Result<()> {
        let folder = self.kept.join("home");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let registry = serde_json::Value::from(self.registry().to_string_lossy());
        let text = format!(
            "[source.crates-io]\nreplace-with = \"packed\"\n\n[source.packed]\nlocal-registry = {registry}\n\n[net]\noffline = true\n"
        );
        fs::write(folder.join("config.toml"), text).context("cannot write cargo's settings")
    }

    /// A program in a folder below the empty one, with a cargo that knows nothing of this one's home.
    fn command(&self, program: impl AsRef<OsStr>, folder: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.empty.path().join(folder)).env("CARGO_HOME", self.kept.join("home"));
        for (name, _) in std::env::vars_os() {
            // Those that cargo sets for what it runs, this process, and those of the user for other projects.
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_") && text != "CARGO_HOME" {
                command.env_remove(name);
            }
        }
        // Nobody debugs what is built here.
        command.env("CARGO_PROFILE_DEV_DEBUG", "none");
        command
    }

    fn cargo(&self, folder: &str) -> Command {
        self.command(process::cargo().get_program(), folder)
    }

    /// Builds a crate that depends on all of ours.
    fn build_all(&self, ours: &[&Package]) -> anyhow::Result<()> {
        let folder = self.empty.path().join("all");
        fs::create_dir_all(folder.join("src")).context("cannot make a crate")?;
        let dependencies: Vec<_> =
            ours.iter().map(|package| format!("{} = \"={}\"\n", package.name, package.version)).collect();
        let manifest =
            format!("[package]\nname = \"all\"\nedition = \"2024\"\n\n[dependencies]\n{}", dependencies.concat());
        fs::write(folder.join("Cargo.toml"), manifest)
            .and_then(|()| fs::write(folder.join("src/lib.rs"), ""))
            .context("cannot write a crate")?;
        process::run(self.cargo("all").args(["build", "--target-dir"]).arg(self.kept.join("target")))
    }

    /// Installs the CLI, and returns the folder of its binary.
    fn install(&self) -> anyhow::Result<PathBuf> {
        let root = self.empty.path().join("installed");
        process::run(
            self.cargo("")
                .args(["install", "--quiet", "--debug", "cargo-gpsimd", "--root"])
                .arg(&root)
                .arg("--target-dir")
                .arg(self.kept.join("target")),
        )?;
        Ok(root.join("bin"))
    }

    /// Fails unless the packages are those of the wheels: the environment beneath them has the checkout's.
    fn find_packages(&self, python: &Path, environment: &Path) -> anyhow::Result<()> {
        let names = if python::application().is_some() { "gpsimd_torch, gpsimd_bert" } else { "gpsimd_torch" };
        let script = format!("import {names}; print(*(package.__file__ for package in ({names},)), sep='\\n')");
        let found = process::output(self.command(python, "").args(["-c", &script]))?;
        let stray = found.lines().find(|file| !Path::new(file).starts_with(environment));
        ensure!(stray.is_none(), "expected the packages in {}, found:\n{found}", environment.display());
        Ok(())
    }

    /// Makes an op and does with it what its README says.
    fn try_op(&self, cli: &Path, python: &Path) -> anyhow::Result<()> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([cli.to_path_buf()].into_iter().chain(std::env::split_paths(&path)))?;
        let cargo = |folder: &str, arguments: &[&str]| {
            let mut cargo = self.cargo(folder);
            cargo.args(arguments).env("PATH", &path).env("VIRTUAL_ENV", self.kept.join("venv"));
            process::run(&mut cargo)
        };
        let tutorial = Tutorial::read()?;
        let op = self.empty.path().join("my-ops");
        for command in &tutorial.commands {
            let words: Vec<_> = command.iter().map(String::as_str).collect();
            match words[..] {
                // A reader has the checkout; here there are packed crates alone.
                ["cargo", "gpsimd", "new", ..] => {
                    cargo("", &["gpsimd", "new", "my-ops"])?;
                    std::os::unix::fs::symlink(self.kept.join("target"), op.join("target"))
                        .context("cannot link the build folder")?;
                    fs::write(op.join("train.py"), &tutorial.program).context("cannot write train.py")?;
                }
                ["cd", "my-ops"] => {}
                ["cargo", ref arguments @ ..] => cargo("my-ops", arguments)?,
                ["python", program] => process::run(self.command(python, "my-ops").arg(program))?,
                _ => bail!("the tutorial has a command that is not known here: {}", words.join(" ")),
            }
        }
        cargo("my-ops", &["fmt", "--check"])?;
        cargo("my-ops", &["clippy", "--quiet", "--all-targets", "--", "--deny", "warnings"])?;
        cargo("my-ops", &["gpsimd", "profile", "--op", "silu", "--shape", "x=8x128x3072"])
    }
}

/// Removes, down to `depth` folders below `folder`, what has such a name.
fn remove(folder: &Path, depth: u32, is_one: &dyn Fn(&OsStr) -> bool) -> anyhow::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if is_one(&entry.file_name()) {
            fs::remove_dir_all(entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
        } else if depth > 0 {
            remove(&entry.path(), depth - 1, is_one)?;
        }
    }
    Ok(())
}
