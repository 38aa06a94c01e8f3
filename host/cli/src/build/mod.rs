//! `build`: the native library, the kernel image and the op package of an op library.

mod compile;
pub mod cpp;
mod earlier;
mod isa;
pub(crate) mod neuron;
pub mod package;
pub(crate) mod source_paths;
mod table;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use gpsimd_codegen::{HotLoop, Image, Manifest};
use gpsimd_emulator::OpLibrary;
use gpsimd_neuron_sdk::Sdk;

use crate::numbers::whole;
use crate::workspace::{OpCrate, Selection, Workspace};
use crate::{compiler, files, process};
pub use compile::{IMAGE_TARGET, ensure_target};
use compile::{Target, compile};
use package::Built;

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
/// neuron/lib<name>_neuron.so, checked against the manifest. `cargo gpsimd doctor --neuron` shows what that takes.
///
/// With --cpp it builds ops written by hand for the vendor's C++ API instead, into a library that the emulator loads.
///
/// Exit status: 0 built, 1 an error, 2 a wrong command line, 3 the library breaks a limit or has what no C++ is generated
/// for, 4 a tool is missing, 5 --neuron without a Neuron SDK that can build, 6 the SDK's build failed, 130 stopped.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo gpsimd build\n\
\x20 cargo gpsimd build -p my-ops --out build\n\
\x20 cargo gpsimd build --json | jq .manifest.tcm\n\
\x20 cargo gpsimd build --isa\n\
\x20 cargo gpsimd build --neuron\n\
\x20 cargo gpsimd build --cpp relu.cpp --shape shape.cpp --out build\n\
\x20 cargo gpsimd build --cpp relu.cpp --shape shape.cpp --include headers --define TILE=512 --flag -O2")]
pub struct Build {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    options: Options,
}

impl Build {
    /// Builds and prints what was built.
    ///
    /// # Errors
    /// When something does not build.
    pub fn run(self) -> anyhow::Result<()> {
        if self.options.is_cpp() {
            return self.options.run_cpp(&Workspace::here()?);
        }
        self.options.run(&self.selection.find()?).map(drop)
    }
}

/// What to build, and how.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub struct Options {
    /// Folder for the results [default: target/gpsimd/<library>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// CPU that the native library is built for, as rustc's target-cpu; no choice changes a bit of any result
    #[arg(long, value_name = "CPU", default_value = "native")]
    cpu: String,
    /// Build the package with the Neuron SDK of this host, too
    #[arg(long, conflicts_with = "cpp")]
    neuron: bool,
    /// Minutes that the SDK's build may take
    #[arg(long, value_name = "MINUTES", default_value_t = 30, requires = "neuron", value_parser = whole(1..=1440_u64))]
    time_limit: u64,
    /// Kernel source in the vendor's C++ API; may be given several times
    #[arg(long, value_name = "FILE", requires = "shape")]
    cpp: Vec<PathBuf>,
    /// Source of shape functions of the --cpp ops, where these are registered; may be given several times
    #[arg(long, value_name = "FILE", requires = "cpp")]
    shape: Vec<PathBuf>,
    /// Run the --cpp ops on the first core alone, as without `multicore=True`
    #[arg(long, requires = "cpp")]
    single_core: bool,
    #[command(flatten)]
    compiler: cpp::CompilerOptions,
    /// Build a program for the Xtensa ISA and measure it under QEMU
    #[arg(long, conflicts_with_all = ["cpp", "cpu", "neuron"])]
    isa: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Options {
    /// Whether ops written by hand are built, instead of a crate.
    pub fn is_cpp(&self) -> bool {
        !self.cpp.is_empty()
    }

    /// Builds the ops written by hand, and prints what was built.
    pub fn run_cpp(&self, workspace: &Workspace) -> anyhow::Result<()> {
        let started = SystemTime::now();
        let (sources, shapes, is_multicore) = (&self.cpp, &self.shape, !self.single_core);
        let cpp = cpp::Cpp { sources, shapes, is_multicore, compiler: &self.compiler };
        let result = cpp::build(&cpp, workspace, self.out.as_deref(), self.json);
        if result.is_err() {
            earlier::tell(self.out.as_deref(), started);
        }
        result
    }

    /// Builds the op library of a crate, and prints what was built. The results are those of its op package.
    ///
    /// # Errors
    /// When something does not build; what an earlier build left is said then.
    pub fn run(&self, library: &OpCrate) -> anyhow::Result<Option<Results>> {
        let started = SystemTime::now();
        let result = self.build(library);
        if result.is_err() {
            let default = library.workspace().artifacts().join(library.library());
            earlier::tell(Some(self.out.as_deref().unwrap_or(&default)), started);
        }
        result
    }

    fn build(&self, library: &OpCrate) -> anyhow::Result<Option<Results>> {
        if self.isa {
            isa::build_and_measure(library, self.out.as_deref(), self.json)?;
            return Ok(None);
        }
        let sdk = self.neuron.then(Sdk::locate);
        if let Some(sdk) = &sdk {
            // Before minutes of compilation that would be for nothing.
            sdk.expect_to_build()?;
        }
        let mut results = build(library, &self.cpu, self.out.as_deref())?;
        if let Some(sdk) = &sdk {
            let stop = process::stop_flag()?;
            results.neuron = Some(neuron::build(&results, sdk, Duration::from_mins(self.time_limit), &stop)?);
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&results)?);
        } else {
            table::print(&results);
            results.neuron.iter().for_each(neuron::print);
        }
        Ok(Some(results))
    }
}

/// What a build returns.
#[derive(serde::Serialize)]
pub struct Results {
    /// The library for this CPU.
    pub native: PathBuf,
    /// The kernel image.
    pub image: PathBuf,
    /// Folder of the op package.
    pub folder: PathBuf,
    /// The op package, compiled for this CPU.
    pub package: PathBuf,
    /// The op package, built with the Neuron SDK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neuron: Option<gpsimd_neuron_sdk::Built>,
    /// What is known of the package.
    #[serde(flatten)]
    built: Built,
}

impl Results {
    /// What the op package says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.built.manifest
    }

    /// The compiler of the package, as it calls itself.
    pub fn compiler(&self) -> &str {
        &self.built.compiler
    }

    /// Loops that are marked as hot, with what became of them.
    pub fn hot_loops(&self) -> &[HotLoop] {
        &self.built.hot_loops
    }

    /// Whether the compiler says which loops it makes vectors of.
    pub fn knows_vectors(&self) -> bool {
        self.built.ops.iter().all(|op| op.vectorized.is_some())
    }

    /// Hot loops that were not vectorised, by op.
    pub fn missed_loops(&self) -> Vec<(String, usize)> {
        self.built.ops.iter().map(|op| (op.name.clone(), op.missed.len())).collect()
    }

    /// Fails unless every hot loop was vectorised.
    pub fn expect_vectors(&self) -> anyhow::Result<()> {
        for op in &self.built.ops {
            let vectorized = op.vectorized.with_context(|| {
                format!("{} does not say which loops it makes vectors of: use Clang", self.built.compiler)
            })?;
            ensure!(
                vectorized == op.hot_loops,
                "op `{}`: {vectorized} of {} hot loops became vectors of 512 bits, those of lines {:?} of {} did not; \
                 `clang++ -Rpass-analysis=loop-vectorize` says why",
                op.name,
                op.hot_loops,
                op.missed,
                self.folder.display()
            );
        }
        Ok(())
    }
}

/// Builds an op library and everything made of it.
pub fn build(library: &OpCrate, cpu: &str, out: Option<&Path>) -> anyhow::Result<Results> {
    ensure_target(IMAGE_TARGET)?;
    step(1, "native library");
    let native = compile(library, &Target::Host { cpu })?;
    step(2, "kernel image");
    let image = compile(library, &Target::Image)?;
    let loaded = OpLibrary::load(&native)?;
    let wasm = fs::read(&image).with_context(|| format!("cannot read {}", image.display()))?;
    let read = Image::read(&wasm).with_context(|| format!("package `{}`", library.package()))?;
    ensure!(
        *loaded.descriptor() == read.descriptor,
        "the native library and the kernel image have different descriptors"
    );

    let name = &read.descriptor.name;
    let out = out.map_or_else(|| library.workspace().artifacts().join(name), Path::to_path_buf);
    let folder = out.join("package");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // The package first, which can fail: what is beside it is of the same build.
    let built = package::build(&read, &wasm, &folder, &compiler::find(library.workspace())?)?;
    let native = put(&native, &out.join(format!("lib{name}.so")))?;
    let image = put(&image, &out.join(format!("{name}.wasm")))?;
    let package = folder.join(format!("lib{name}.so"));
    Ok(Results { native, image, folder, package, neuron: None, built })
}

/// Builds the Xtensa program of an op library, and returns its path.
pub fn isa_program(library: &OpCrate) -> anyhow::Result<PathBuf> {
    isa::build(library, None)
}

/// Builds an op library for this CPU, and returns its path.
pub fn native_library(library: &OpCrate) -> anyhow::Result<PathBuf> {
    compile(library, &Target::Host { cpu: "native" })
}

/// Builds an op library for this CPU and for a debugger, and returns its path.
pub(crate) fn debug_library(library: &OpCrate) -> anyhow::Result<PathBuf> {
    compile(library, &Target::Debug)
}

/// Builds the op package of an op library for this CPU and for a debugger: the path of its library, and the package.
pub(crate) fn debug_package(library: &OpCrate) -> anyhow::Result<(PathBuf, Results)> {
    let built = build(library, "native", None)?;
    let descriptor = OpLibrary::load(&built.native)?.descriptor().clone();
    let compiled = package::debug(&descriptor, &built.folder, &compiler::find(library.workspace())?)?;
    Ok((compiled, built))
}

/// Says what is being made, on a line of its own.
fn step(number: u32, what: &str) {
    eprintln!("[{number}/3] {what}");
}

/// Copies a result to where it belongs, in one step, if it is not there already.
fn put(from: &Path, to: &Path) -> anyhow::Result<PathBuf> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write(to, &content)?;
    Ok(to.to_path_buf())
}

/// Writes a file in one step, if it is not the same already.
pub fn write(to: &Path, content: &[u8]) -> anyhow::Result<()> {
    if fs::read(to).is_ok_and(|found| found == content) {
        return Ok(());
    }
    files::replace(to, |file| file.write_all(content))
}
