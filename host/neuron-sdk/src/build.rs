//! [`Sdk::build`]: an op package, built with the SDK.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use gpsimd_codegen::{Manifest, SourceMap};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::device_library::{DeviceLibraryContents, check_device_library};
use super::diagnosis::{Diagnosis, diagnose};
use super::error::PackageBuildError;
use super::process::{Ended, run_until};
use super::{Sdk, table};

const MANIFEST: &str = "manifest.json";
const SOURCE_MAP: &str = "source_map.json";

/// An op package to build.
#[derive(Debug)]
pub struct PackageBuild<'a> {
    /// Folder of the package: the sources, `build.py`, `manifest.json`, `source_map.json`.
    pub package: &'a Path,
    /// Folder for the library, replaced as a whole when it is built. The log is beside it, `<output>.log`.
    pub output: &'a Path,
    /// How long it may take.
    pub time_limit: Duration,
    /// Ends the build when set.
    pub stop: &'a AtomicBool,
}

/// What a build returns.
#[derive(Clone, Debug, Serialize)]
pub struct Built {
    /// The op library for the device.
    pub library: PathBuf,
    /// Everything that was printed.
    pub log: PathBuf,
    /// What is in the library.
    pub contents: DeviceLibraryContents,
}

impl Sdk {
    /// Runs the `build.py` of a package on a copy of it, checks the library, and only then puts it into the output folder.
    ///
    /// # Errors
    /// When a piece of the SDK is missing, the package is none, the build fails, takes too long or is stopped, or the library
    /// is not the package's.
    pub fn build(&self, build: &PackageBuild<'_>) -> Result<Built, PackageBuildError> {
        let manifest: Manifest = described(build.package, MANIFEST)?;
        let map: SourceMap = described(build.package, SOURCE_MAP)?;
        let python = self.interpreter().filter(|_| self.can_build()).ok_or_else(|| self.incomplete())?;
        let (work, log) = (beside(build.output, "new"), beside(build.output, "log"));
        copy_package(build.package, &manifest, &work)?;

        let output = File::create(&log).map_err(|source| file("write", &log, source))?;
        let errors = output.try_clone().map_err(|source| file("write", &log, source))?;
        let mut command = Command::new(python);
        command.arg("build.py").current_dir(&work).env("PYTHONUNBUFFERED", "1");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let status = match run_until(&mut command, build.time_limit, build.stop)
            .map_err(|source| file("run", python, source))?
        {
            Ended::Exited(status) => status,
            Ended::Stopped => return Err(PackageBuildError::Stopped),
            Ended::TimeLimit => return Err(PackageBuildError::TimeLimit { limit: build.time_limit, log }),
        };
        let text = fs::read(&log).map_err(|source| file("read", &log, source))?;
        let text = String::from_utf8_lossy(&text);
        let name = format!("lib{}.so", manifest.neuron_library);
        if !status.success() {
            return Err(failure(diagnose(&text, &map), python, &status.to_string(), log));
        }
        let contents = check_device_library(&work.join(&name), &manifest)
            .map_err(|source| PackageBuildError::Library { source, log: log.clone() })?;
        replace(build.output, &work)?;
        Ok(Built { library: build.output.join(name), log, contents })
    }

    /// The error that lists what is missing to build.
    fn incomplete(&self) -> PackageBuildError {
        let unusable: Vec<_> = self.needed_to_build().filter(|finding| !finding.state.is_usable()).cloned().collect();
        PackageBuildError::Incomplete { findings: table(&unusable).trim_end().to_owned() }
    }

    /// Fails unless op packages can be built.
    ///
    /// # Errors
    /// [`PackageBuildError::Incomplete`].
    pub fn expect_to_build(&self) -> Result<(), PackageBuildError> {
        if self.can_build() && self.interpreter().is_some() { Ok(()) } else { Err(self.incomplete()) }
    }
}

fn failure(diagnosis: Diagnosis, python: &Path, status: &str, log: PathBuf) -> PackageBuildError {
    match diagnosis {
        Diagnosis::Compiler(errors) => PackageBuildError::Compiler { errors, log },
        Diagnosis::Licence(message) => PackageBuildError::Licence { message, log },
        Diagnosis::NoModule(module) => PackageBuildError::NoModule { module, python: python.into(), log },
        Diagnosis::Unknown(end) => PackageBuildError::Failed { status: status.into(), end, log },
    }
}

/// What a file of a package says about it.
fn described<T: DeserializeOwned>(folder: &Path, file: &str) -> Result<T, PackageBuildError> {
    let no_package = |problem: String| PackageBuildError::NoPackage { folder: folder.into(), problem };
    let text =
        fs::read(folder.join(file)).map_err(|error| no_package(format!("its {file} cannot be read ({error})")))?;
    serde_json::from_slice(&text).map_err(|error| no_package(format!("its {file} does not parse ({error})")))
}

/// A folder with nothing but the package: what the tools leave behind belongs to one build.
fn copy_package(package: &Path, manifest: &Manifest, work: &Path) -> Result<(), PackageBuildError> {
    remove(work)?;
    fs::create_dir_all(work).map_err(|source| file("make", work, source))?;
    let name = &manifest.library;
    for name in [&format!("{name}.cpp"), &format!("{name}_shape.cpp"), "build.py", MANIFEST, SOURCE_MAP] {
        let from = package.join(name);
        fs::copy(&from, work.join(name)).map_err(|source| file("copy", &from, source))?;
    }
    Ok(())
}

/// Puts a folder in the place of another.
fn replace(folder: &Path, new: &Path) -> Result<(), PackageBuildError> {
    let old = beside(folder, "old");
    remove(&old)?;
    if folder.exists() {
        fs::rename(folder, &old).map_err(|source| file("replace", folder, source))?;
    }
    fs::rename(new, folder).map_err(|source| file("write", folder, source))?;
    remove(&old)
}

fn remove(folder: &Path) -> Result<(), PackageBuildError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file("remove", folder, error)),
        _ => Ok(()),
    }
}

fn beside(folder: &Path, extension: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn file(action: &'static str, path: &Path, source: std::io::Error) -> PackageBuildError {
    PackageBuildError::File { action, path: path.into(), source }
}
