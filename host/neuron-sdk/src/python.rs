//! The Python that has `torch_neuronx`, and the versions of what it has installed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::environment::Environment;
use super::process::answer;

/// Where pip finds `torch-neuronx` and `neuronx-cc`.
const PACKAGE_INDEX: &str = "https://pip.repos.neuron.amazonaws.com";

/// Prints what there is, without importing any of it: that takes seconds, and opens the device.
const PROBE: &str = r#"
import importlib.metadata, importlib.util, json, os, platform, shutil, sys, sysconfig
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
names = ["torch", "torch-xla", "torch-neuronx", "neuronx-cc"]
packages = {name: version(name) for name in names}
has_neuron = importlib.util.find_spec("torch_neuronx") is not None
header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
headers = header if os.path.isfile(header) else None
beside = os.path.join(os.path.dirname(sys.executable), "ninja")
ninja = beside if os.access(beside, os.X_OK) else shutil.which("ninja")
print(json.dumps({"python": platform.python_version(), "packages": packages, "has_neuron": has_neuron,
                  "headers": headers, "ninja": ninja}))
"#;

/// An interpreter, and what it says.
pub(super) struct Python {
    pub(super) interpreter: PathBuf,
    pub(super) version: String,
    pub(super) has_neuron: bool,
    /// `Python.h`.
    pub(super) headers: Option<PathBuf>,
    /// Beside the interpreter or on the path.
    pub(super) ninja: Option<PathBuf>,
    packages: HashMap<String, Option<String>>,
}

#[derive(Deserialize)]
struct Answer {
    python: String,
    packages: HashMap<String, Option<String>>,
    has_neuron: bool,
    headers: Option<PathBuf>,
    ninja: Option<PathBuf>,
}

impl Python {
    /// The first interpreter with `torch_neuronx`, or else the first that answers.
    pub(super) fn of(environment: &Environment) -> Option<Self> {
        let mut first = None;
        for interpreter in environment.interpreters() {
            match Self::ask(&interpreter, environment) {
                Some(python) if python.has_neuron => return Some(python),
                python => first = first.or(python),
            }
        }
        first
    }

    fn ask(interpreter: &Path, environment: &Environment) -> Option<Self> {
        let mut command = Command::new(interpreter);
        // A file in the current folder is not a module of the interpreter.
        let output = answer(command.args(["-c", PROBE]).env("PYTHONSAFEPATH", "1"), environment.time_limit)?;
        let Answer { python, packages, has_neuron, headers, ninja } =
            serde_json::from_str(output.lines().last()?).ok()?;
        Some(Self { interpreter: interpreter.into(), version: python, has_neuron, headers, ninja, packages })
    }

    /// The version of a pip package.
    pub(super) fn package(&self, name: &str) -> Option<&str> {
        self.packages.get(name)?.as_deref()
    }
}

/// The command that installs pip packages, into `python` or the environment that is active.
pub(super) fn pip_install(python: Option<&Python>, packages: &str) -> String {
    let interpreter = python.map_or("python3".into(), |python| python.interpreter.display().to_string());
    format!("{interpreter} -m pip install --extra-index-url {PACKAGE_INDEX} {packages}")
}
