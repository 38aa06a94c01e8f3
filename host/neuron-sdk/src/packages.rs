//! Packages of the operating system: which versions are installed, and the command that installs one.

use std::collections::HashMap;
use std::process::Command;

use super::environment::Environment;
use super::process::answer;

/// Packages of the SDK, with the piece of it that each brings.
pub(super) const DRIVER: &str = "aws-neuronx-dkms";
pub(super) const RUNTIME: &str = "aws-neuronx-runtime-lib";
pub(super) const TOOLS: &str = "aws-neuronx-gpsimd-tools";
pub(super) const CUSTOM_OP: &str = "aws-neuronx-gpsimd-customop-lib";

/// What the host's package manager knows of the SDK.
pub(super) struct Packages {
    manager: Option<Manager>,
    versions: HashMap<String, String>,
}

#[derive(Clone, Copy)]
enum Manager {
    Dpkg,
    Rpm,
}

impl Packages {
    /// Asks `dpkg-query`, or `rpm` where that is missing.
    pub(super) fn of(environment: &Environment) -> Self {
        let all = [DRIVER, RUNTIME, TOOLS, CUSTOM_OP];
        let (manager, text) = if let Some(dpkg) = environment.program("dpkg-query") {
            let format = "--showformat=${Package} ${Version} ${db:Status-Status}\n";
            (Some(Manager::Dpkg), answer(Command::new(dpkg).args(["--show", format]).args(all), environment.time_limit))
        } else if let Some(rpm) = environment.program("rpm") {
            let format = "--queryformat=%{NAME} %{VERSION}-%{RELEASE} installed\n";
            (Some(Manager::Rpm), answer(Command::new(rpm).args(["--query", format]).args(all), environment.time_limit))
        } else {
            (None, None)
        };
        // Both print other lines for packages that they do not have.
        let versions = text.unwrap_or_default();
        let versions = versions.lines().filter_map(|line| {
            let [name, version, "installed"] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
            all.contains(&name).then(|| (name.to_owned(), version.to_owned()))
        });
        Self { manager, versions: versions.collect() }
    }

    /// The version that is installed.
    pub(super) fn version(&self, package: &str) -> Option<&str> {
        self.versions.get(package).map(String::as_str)
    }

    /// The command that installs `Python.h`.
    pub(super) fn install_headers_of_python(&self) -> String {
        match self.manager {
            Some(Manager::Rpm) => "sudo dnf install python3-devel".into(),
            _ => "sudo apt-get install python3-dev".into(),
        }
    }

    /// The command that installs packages; needs the SDK's repository to be set up.
    pub(super) fn install(&self, packages: &str) -> String {
        match self.manager {
            Some(Manager::Dpkg) => format!("sudo apt-get install {packages}"),
            Some(Manager::Rpm) => format!("sudo dnf install {packages}"),
            None => format!("install {packages} from apt.repos.neuron.amazonaws.com or yum.repos.neuron.amazonaws.com"),
        }
    }
}
