//! `cargo xtask build-kernels`: the host library and the kernel image of an op library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use gpsimd_abi::DESCRIPTOR_SECTION;
use gpsimd_abi::descriptor::{ElementType, LibraryDescriptor, OpDescriptor, OperandKind};
use gpsimd_emulator::OpLibrary;

use crate::{process, workspace};

const IMAGE_TARGET: &str = "wasm32-unknown-unknown";

/// Build an op library: the host library that the emulator runs, and the kernel image.
///
/// An op library is a crate of `#[custom_op]` functions and one `op_library!`, with `crate-type = ["cdylib", "rlib"]`.
/// It is compiled twice: for this CPU, into lib<name>.so, which `gpsimd_torch.load_library` and the emulator load; and
/// for wasm32-unknown-unknown, into <name>.wasm, from which the op package for the device will be generated. Both are
/// checked: they load, and carry the same descriptor.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask build-kernels\n\
\x20 cargo xtask build-kernels --library ../my-ops --out build")]
pub(crate) struct BuildKernels {
    /// Folder of the op library's crate
    #[arg(long, value_name = "DIR", default_value_os_t = workspace::root().join("kernels/bert-ops"), hide_default_value = true)]
    library: PathBuf,
    /// Folder for the results [default: target/gpsimd/<library>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// CPU that the host library is built for, as rustc's target-cpu; no choice changes a bit of any result
    #[arg(long, value_name = "CPU", default_value = "native")]
    cpu: String,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl BuildKernels {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        ensure_image_target()?;
        let host = compile(&self.library, &Target::Host { cpu: &self.cpu })?;
        let image = compile(&self.library, &Target::Image)?;
        let library = OpLibrary::load(&host)?;
        let descriptor = library.descriptor();
        let in_image = read_descriptor(&image)?;
        ensure!(*descriptor == in_image, "the host library and the kernel image have different descriptors");

        let out = self.out.unwrap_or_else(|| workspace::artifacts().join(&descriptor.name));
        fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
        let host = put(&host, &out.join(format!("lib{}.so", descriptor.name)))?;
        let image = put(&image, &out.join(format!("{}.wasm", descriptor.name)))?;
        if self.json {
            let result = serde_json::json!({ "library": descriptor, "host_library": host, "image": image });
            println!("{}", serde_json::to_string_pretty(&result)?);
            return Ok(());
        }
        println!("op library {} {}", descriptor.name, descriptor.version);
        let width = descriptor.ops.iter().map(|op| op.name.len()).max().unwrap_or(0);
        for op in &descriptor.ops {
            println!("  {:width$}  {}", op.name, signature(op));
        }
        for path in [&host, &image] {
            println!("{} ({} KiB)", path.display(), fs::metadata(path)?.len().div_ceil(1024));
        }
        Ok(())
    }
}

/// Builds the host library of the crate in `library` for this CPU, and gives its path.
pub(crate) fn host_library(library: &Path) -> anyhow::Result<PathBuf> {
    compile(library, &Target::Host { cpu: "native" })
}

/// Builds the kernel image of the crate in `library` and reads its descriptor.
pub(crate) fn image_descriptor(library: &Path) -> anyhow::Result<LibraryDescriptor> {
    ensure_image_target()?;
    read_descriptor(&compile(library, &Target::Image)?)
}

enum Target<'a> {
    Host { cpu: &'a str },
    Image,
}

/// Compiles the crate and gives the path of its dynamic library, or of its image.
fn compile(library: &Path, target: &Target<'_>) -> anyhow::Result<PathBuf> {
    let manifest = library.join("Cargo.toml");
    ensure!(manifest.is_file(), "{} is no crate: it has no Cargo.toml", library.display());
    let manifest = manifest.canonicalize()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--lib", "--message-format=json-render-diagnostics", "--manifest-path"]).arg(&manifest);
    // Profiles are the workspace's: a crate of its own has no `kernels`.
    let is_ours = manifest.starts_with(workspace::root());
    cargo.args(["--profile", if is_ours { "kernels" } else { "release" }]);
    let extension = match target {
        Target::Host { cpu } => {
            // With an explicit target the flags leave macros and build scripts alone. They need a build folder of their
            // own: cargo would rebuild everything whenever they change.
            cargo.args(["--target", &host_triple()?, "--target-dir"]).arg(workspace::target().join("host-cpu"));
            cargo.env("RUSTFLAGS", format!("-C target-cpu={cpu}"));
            std::env::consts::DLL_EXTENSION
        }
        Target::Image => {
            cargo.args(["--target", IMAGE_TARGET, "--target-dir"]).arg(workspace::target().join("images"));
            cargo.env_remove("RUSTFLAGS");
            "wasm"
        }
    };
    let messages = process::output(cargo.stdin(Stdio::null()))?;
    for message in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(message).context("cargo printed something unexpected")?;
        let is_ours = message["reason"] == "compiler-artifact"
            && message["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest);
        if !is_ours {
            continue;
        }
        let files = message["filenames"].as_array().into_iter().flatten().filter_map(|file| file.as_str());
        for file in files.map(PathBuf::from) {
            if file.extension().is_some_and(|found| found == extension) {
                return Ok(file);
            }
        }
    }
    bail!("{} builds no .{extension}: its [lib] needs crate-type = [\"cdylib\", \"rlib\"]", library.display())
}

fn host_triple() -> anyhow::Result<String> {
    let version = process::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_string())
}

/// Installs the Rust target of kernel images, if it is missing.
fn ensure_image_target() -> anyhow::Result<()> {
    let libraries =
        process::output(Command::new("rustc").args(["--print", "target-libdir", "--target", IMAGE_TARGET]))?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    process::run(Command::new("rustup").args(["target", "add", IMAGE_TARGET])).with_context(|| {
        format!("the Rust target {IMAGE_TARGET} is missing and could not be added: install it for this toolchain")
    })
}

/// The descriptor in an image's custom section.
fn read_descriptor(image: &Path) -> anyhow::Result<LibraryDescriptor> {
    let bytes = fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
        let payload = payload.with_context(|| format!("{} is no WebAssembly module", image.display()))?;
        if let wasmparser::Payload::CustomSection(section) = payload
            && section.name() == DESCRIPTOR_SECTION
        {
            return LibraryDescriptor::parse(section.data())
                .with_context(|| format!("{}: custom section {DESCRIPTOR_SECTION}", image.display()));
        }
    }
    bail!("{} has no custom section {DESCRIPTOR_SECTION}: does the crate call op_library!?", image.display())
}

/// Copies a result to where it belongs, in one step.
fn put(from: &Path, to: &Path) -> anyhow::Result<PathBuf> {
    let new = to.with_extension("tmp");
    fs::copy(from, &new)
        .and_then(|_| fs::rename(&new, to))
        .with_context(|| format!("cannot write {}", to.display()))?;
    Ok(to.to_path_buf())
}

/// "(x: T, bias: T, scale: f32 scalar) -> y: T"
fn signature(op: &OpDescriptor) -> String {
    let element = |element| match element {
        ElementType::Generic => "T",
        ElementType::F32 => "f32",
        ElementType::Bf16 => "bf16",
        ElementType::Any => "any",
    };
    let operand = |kind| match kind {
        OperandKind::Tensor(kind) => format!("[{}]", element(kind)),
        OperandKind::Scalar => "f32".to_string(),
    };
    let operands: Vec<_> = op.operands.iter().map(|one| format!("{}: {}", one.name, operand(one.kind))).collect();
    let replaces = op.replaces.as_ref().map_or(String::new(), |name| format!(", replaces {name}"));
    format!("({}) -> {}: [{}]{replaces}", operands.join(", "), op.output.name, element(op.output.element))
}
