//! `build.py`: builds a package with the vendor's tools.

use super::neuron_library;
use crate::host_build::ARITHMETIC_FLAGS;

/// The script of the library `name`.
pub(super) fn build_script(name: &str) -> String {
    let neuron_library = neuron_library(name);
    // Both of the vendor's compilers get these after their own `-Os`.
    let flags: Vec<_> = ["-O3"].iter().chain(&ARITHMETIC_FLAGS).map(|flag| format!("\"{flag}\"")).collect();
    format!(
        r#""""Builds lib{neuron_library}.so beside this file, on a Trn1 or Inf2 host with the Neuron SDK, and loads it.

    python build.py

Needs torch_neuronx and the packages aws-neuronx-gpsimd-tools and aws-neuronx-gpsimd-customop-lib.
"""

import pathlib

from torch_neuronx.xla_impl import custom_op

FOLDER = pathlib.Path(__file__).resolve().parent

custom_op.load(
    name="{neuron_library}",
    compute_srcs=[str(FOLDER / "{name}.cpp")],
    shape_srcs=[str(FOLDER / "{name}_shape.cpp")],
    extra_cflags=[{flags}],
    build_directory=str(FOLDER),
    multicore=True,
    verbose=True,
)
"#,
        flags = flags.join(", "),
    )
}
