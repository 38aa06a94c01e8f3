//! The op package, built with the Neuron SDK of this host.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use gpsimd_neuron_sdk::{Built, PackageBuild, Sdk};

use super::Results;
use crate::process::shown_path;

/// Builds the package into the folder `neuron` beside it. `stop` ends the vendor's compilers, and leaves what was built before.
pub(crate) fn build(results: &Results, sdk: &Sdk, time_limit: Duration, stop: &AtomicBool) -> anyhow::Result<Built> {
    let output = results.folder.with_file_name("neuron");
    let python = sdk.interpreter().map(|python| python.display().to_string()).unwrap_or_default();
    eprintln!("Neuron library: {python} build.py, which prints to {}.log", shown_path(&output));
    Ok(sdk.build(&PackageBuild { package: &results.folder, output: &output, time_limit, stop })?)
}

/// Prints what was built.
pub(super) fn print(built: &Built) {
    let contents = &built.contents;
    println!(
        "{:8} {}: {} members, {} ops{}",
        "neuron",
        shown_path(&built.library),
        contents.members.len(),
        contents.ops.len(),
        if contents.schemas == 0 { " (it states no schemas)" } else { "" }
    );
}
