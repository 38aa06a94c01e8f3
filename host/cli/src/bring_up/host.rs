//! What of a host is needed to understand a report, and nothing that says whose it is.

use std::path::Path;
use std::process::Command;

use gpsimd_neuron_sdk::Finding;

use super::report::{Gpsimd, Host, Piece};
use crate::sdk_source::SdkSource;
use crate::workspace::Workspace;

/// Variables that change how ops run or are compiled on a device; others are not told.
const VARIABLES: [&str; 13] = [
    "NEURON_RT_NUM_CORES",
    "NEURON_RT_VISIBLE_CORES",
    "NEURON_RT_RESET_CORES",
    "NEURON_RT_EXEC_TIMEOUT",
    "NEURON_RT_LOG_LEVEL",
    "NEURON_RT_GPSIMD_STDOUT_QUEUE_SIZE_BYTES",
    "NEURON_CC_FLAGS",
    "NEURON_FRAMEWORK_DEBUG",
    "PJRT_DEVICE",
    "XLA_FLAGS",
    "XLA_USE_BF16",
    "XLA_DOWNCAST_BF16",
    "OMP_NUM_THREADS",
];

/// What the process on a device is started with where the caller has said nothing: one NeuronCore, whose kernels' messages are
/// shown.
const DEFAULTS: [(&str, &str); 3] = [
    ("NEURON_RT_NUM_CORES", "1"),
    ("NEURON_RT_LOG_LEVEL", "INFO"),
    ("NEURON_RT_GPSIMD_STDOUT_QUEUE_SIZE_BYTES", "131072"),
];

/// The variables to set for the process on a device.
pub(super) fn environment_for_neuron() -> Vec<(&'static str, &'static str)> {
    // A choice of cores is one of their number.
    let is_set = |name: &str| {
        std::env::var_os(name).is_some()
            || (name == "NEURON_RT_NUM_CORES" && std::env::var_os("NEURON_RT_VISIBLE_CORES").is_some())
    };
    DEFAULTS.into_iter().filter(|(name, _)| !is_set(name)).collect()
}

/// This host, with what the doctor found.
pub(super) fn describe(findings: &[Finding], is_neuron: bool) -> Host {
    let set = if is_neuron { environment_for_neuron() } else { Vec::new() };
    let variable = |name: &&str| {
        let value = std::env::var(name).ok();
        let value = value.or_else(|| Some(set.iter().find(|(set, _)| set == name)?.1.to_owned()));
        value.map(|value| ((*name).to_owned(), value))
    };
    Host {
        system: format!("{}, Linux {}", distribution(), rustix::system::uname().release().to_string_lossy()),
        processor: processor(),
        driver: read_line("/sys/module/neuron/version"),
        pieces: findings.iter().map(piece).collect(),
        versions: Vec::new(),
        environment: VARIABLES.iter().filter_map(variable).collect(),
    }
}

/// Without paths, and without what to do about it, which has some.
fn piece(finding: &Finding) -> Piece {
    Piece {
        name: finding.piece.into(),
        state: finding.state.to_string(),
        version: finding.version.clone(),
        note: finding.note.clone(),
    }
}

fn read_line(file: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

fn distribution() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "unknown system".into(), |name| name.trim_matches('"').to_owned())
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |name: &str| text.lines().find(|line| line.starts_with(name))?.split_once(": ").map(|(_, value)| value);
    let name = value("model name").unwrap_or(std::env::consts::ARCH);
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{count} x {name}")
}

/// Version and commit of the SDK that a workspace uses.
pub(super) fn gpsimd(workspace: &Workspace) -> Gpsimd {
    let commit = match SdkSource::of(workspace) {
        Ok(SdkSource::Git { rev, .. }) => rev,
        Ok(SdkSource::Checkout(folder)) => commit_of(&folder),
        _ => None,
    };
    Gpsimd { version: env!("CARGO_PKG_VERSION").into(), commit }
}

fn commit_of(folder: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let is_changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if is_changed { format!("{commit}, changed") } else { commit })
}
