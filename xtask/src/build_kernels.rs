//! `cargo xtask build-kernels`: `cargo gpsimd build` of this repository's op library, unless another is named.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace;
use anyhow::Context;
use cargo_gpsimd::build;
use cargo_gpsimd::workspace::OpCrate;

use crate::python::{Python, bundle};

/// Build an op library: native library, kernel image and GPSIMD op package, with every vendor limit checked.
///
/// An op library is a crate of `#[custom_op]` functions and one `op_library!`, with `crate-type = ["cdylib", "rlib"]`.
/// It is compiled for this CPU (lib<name>.so, which `gpsimd_torch.load_library` and the emulator load) and for
/// wasm32-unknown-unknown (<name>.wasm). From that image comes the op package in package/: <name>.cpp and
/// <name>_shape.cpp, build.py, which builds them on a Trn1 or Inf2 host, and manifest.json. Here the package is compiled
/// for this CPU, too: package/lib<name>.so runs the shipped source under the emulator.
///
/// With --isa it is compiled to a program for the base Xtensa ISA instead, isa/<name>.elf, which the emulator runs under
/// QEMU: sizes, stack and instructions per element are printed. See docs/src/explanation/isa.md for what this needs and proves.
///
/// With --neuron, on a Trn1 or Inf2 host with the Neuron SDK, build.py then builds the package for the device:
/// neuron/lib<name>_neuron.so, checked against the manifest. `cargo gpsimd doctor --neuron` shows what that takes. Those of
/// kernels/activation-ops, kernels/bert-ops, kernels/counting-ops, kernels/embedding-ops, kernels/index-ops, kernels/nn-ops, kernels/sampling-ops, kernels/scatter-ops, kernels/sort-ops and kernels/training-ops also go into host/torch, with the native library, for `pip install host/torch`.
///
/// With --cpp it builds ops written by hand for the vendor's C++ API instead, into a library that the emulator loads.
///
/// Exit status: 0 built, 1 an error, 2 a wrong command line, 3 the library breaks a limit or has what no C++ is generated
/// for, 4 a tool is missing, 5 --neuron without a Neuron SDK that can build, 6 the SDK's build failed, 130 stopped.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask build-kernels\n\
\x20 cargo xtask build-kernels --library ../my-ops --out build\n\
\x20 cargo xtask build-kernels --json | jq .manifest.tcm\n\
\x20 cargo xtask build-kernels --isa\n\
\x20 cargo xtask build-kernels --neuron\n\
\x20 cargo xtask build-kernels --cpp relu.cpp --shape shape.cpp --out build\n\
\x20 cargo xtask build-kernels --cpp relu.cpp --shape shape.cpp --include headers --define TILE=512 --flag -O2")]
pub(crate) struct BuildKernels {
    /// Folder of the op library's crate
    #[arg(long, value_name = "DIR", default_value_os_t = bert_ops(), hide_default_value = true, conflicts_with = "cpp")]
    library: PathBuf,
    #[command(flatten)]
    options: build::Options,
}

impl BuildKernels {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if self.options.is_cpp() {
            // The shape functions are compiled against PyTorch's headers.
            Python::with_packages()?;
            return self.options.run_cpp(workspace::op_crate("kernels/bert-ops")?.workspace());
        }
        let results = self.options.run(&OpCrate::at(&self.library)?)?;
        let Some((results, neuron)) = results.as_ref().and_then(|built| Some((built, built.neuron.as_ref()?))) else {
            return Ok(());
        };
        let library = self.library.canonicalize()?;
        if workspace::BUNDLED.iter().any(|bundled| workspace::root().join(bundled) == library) {
            let folder = workspace::root().join("host/torch/python/gpsimd_torch/op_libraries");
            bundle(&results.native, &folder)?;
            bundle_neuron(&neuron.library, &folder)?;
        }
        Ok(())
    }
}

/// Puts a library for the device and its manifest among the files of the Python package.
fn bundle_neuron(library: &Path, folder: &Path) -> anyhow::Result<()> {
    bundle(library, folder)?;
    let manifest = library.with_file_name("manifest.json");
    let content = fs::read(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let name = library.with_extension("json");
    build::write(&folder.join(name.file_name().context("an op library is a file")?), &content)
}

fn bert_ops() -> PathBuf {
    workspace::root().join("kernels/bert-ops")
}
