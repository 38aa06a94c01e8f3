//! The pieces of the SDK: where each is looked for, and what is known of its versions.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::finding::{Finding, FindingState};
use super::packages::{CUSTOM_OP, DRIVER, Packages, RUNTIME, TOOLS};
use super::python::{Python, pip_install};
use super::version::release;

/// The last PyTorch that Neuron supports through PyTorch/XLA.
const LAST_TORCH: (u32, u32) = (2, 9);
/// Versions that belong together: those of Neuron 2.31, the last before its images came without PyTorch/XLA.
const NEURONX: &str = "'torch-neuronx==2.9.0.2.15.32035'";
const COMPILER: &str = "'neuronx-cc==2.26.6360.0'";
/// The oldest Python that `gpsimd_torch` runs on.
const OLDEST_PYTHON: (u32, u32) = (3, 11);
/// Instances with NeuronCore-v2, which alone the custom-op library supports.
const FAMILIES: [&str; 3] = ["trn1", "trn1n", "inf2"];
/// How deep a tool is looked for below a folder, and among how many files at most.
const DEPTH: usize = 6;
const ENTRIES: usize = 50_000;

/// A piece of the SDK.
#[derive(Clone, Copy)]
pub(super) enum Piece {
    Device,
    Runtime,
    Headers,
    Compiler,
    Library,
    Python,
    PythonHeaders,
    Ninja,
    Torch,
    TorchXla,
    TorchNeuronx,
    NeuronCompiler,
}

impl Piece {
    pub(super) const NEEDED_TO_BUILD: [Self; 8] = [
        Self::Compiler,
        Self::Library,
        Self::Python,
        Self::PythonHeaders,
        Self::Ninja,
        Self::Torch,
        Self::TorchXla,
        Self::TorchNeuronx,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Device => "NeuronCore-v2",
            Self::Runtime => "libnrt",
            Self::Headers => "headers of libnrt",
            Self::Compiler => "GPSIMD compiler",
            Self::Library => "custom-op library",
            Self::Python => "Python",
            Self::PythonHeaders => "headers of Python",
            Self::Ninja => "ninja",
            Self::Torch => "torch",
            Self::TorchXla => "torch-xla",
            Self::TorchNeuronx => "torch-neuronx",
            Self::NeuronCompiler => "neuronx-cc",
        }
    }
}

/// All pieces of a host, and its interpreter.
pub(super) fn find(environment: &Environment) -> (Vec<Finding>, Option<PathBuf>) {
    let packages = Packages::of(environment);
    let python = Python::of(environment);
    let mut findings = vec![device(environment, &packages)];
    findings.extend(of_the_system(environment, &packages));
    findings.push(interpreter(python.as_ref()));
    findings.extend(for_extensions(python.as_ref(), &packages));
    findings.extend(of_python(python.as_ref()));
    (findings, python.map(|python| python.interpreter))
}

fn device(environment: &Environment, packages: &Packages) -> Finding {
    let name = Piece::Device.name();
    let instance = std::fs::read_to_string(&environment.instance_type).ok();
    let instance = instance.as_deref().map(str::trim).filter(|instance| is_instance_type(instance));
    let family = instance.and_then(|instance| instance.split('.').next());
    let node = environment.devices.join("neuron0");
    if let Some(family) = family.filter(|family| !FAMILIES.contains(family)) {
        let instance = instance.map(String::from);
        let problem = if family.starts_with("trn") {
            format!("custom operators run on NeuronCore-v2 only; on {family} the ops of this project run on the CPU")
        } else {
            format!("the custom-op library supports NeuronCore-v2 only; that {family} has it is not known")
        };
        let fix = "start an instance of trn1, trn1n or inf2";
        return Finding { version: instance, ..Finding::ok(name) }.but(FindingState::Wrong, problem, fix);
    }
    if node.exists() {
        return Finding { path: Some(node), version: instance.map(String::from), ..Finding::ok(name) };
    }
    let fix = format!("on an instance of trn1, trn1n or inf2: {}", packages.install(DRIVER));
    Finding { package: Some(DRIVER), note: Some(format!("no {}", node.display())), ..Finding::missing(name, fix) }
}

/// `trn1.2xlarge`, but not what other machines call themselves.
fn is_instance_type(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    matches!(text.split('.').collect::<Vec<_>>()[..], [family, size] if is_word(family) && is_word(size))
}

fn of_the_system(environment: &Environment, packages: &Packages) -> [Finding; 4] {
    let gpsimd = environment.sdk.join("gpsimd");
    let of = |piece: Piece, package: &'static str, path: Option<PathBuf>| {
        let version = packages.version(package).map(String::from);
        let found = Finding { path, version, package: Some(package), ..Finding::ok(piece.name()) };
        let note = format!("not where it was looked for, in {}", environment.sdk.display());
        let fix = packages.install(package);
        match (&found.path, &found.version) {
            (Some(_), _) => found,
            // The package is there: its files may have moved since the version that is known.
            (None, Some(_)) => found.but(
                FindingState::Doubtful,
                note,
                "name the folder of the SDK in $NEURON_SDK_ROOT, or install it again",
            ),
            (None, None) => Finding { package: Some(package), note: Some(note), ..Finding::missing(piece.name(), fix) },
        }
    };
    let file = |path: &str| Some(environment.sdk.join(path)).filter(|path| path.is_file());
    // Observed by third parties: bin/xt-clang++ and custom_op/neuron/neuron-utils.hpp in packages of version 0.21.
    let compiler = file("gpsimd/bin/xt-clang++").or_else(|| search(&gpsimd, "xt-clang++"));
    let library = search(&gpsimd, "neuron-utils.hpp");
    let mut runtime = of(Piece::Runtime, RUNTIME, file("lib/libnrt.so.1"));
    runtime.version = runtime.version.or_else(|| version_of_file(runtime.path.as_deref()?));
    let compiler = of(Piece::Compiler, TOOLS, compiler);
    // Their versions need not go together: Neuron 2.31 has tools 14.09 and a library 0.23.
    let library = of(Piece::Library, CUSTOM_OP, library);
    [runtime, of(Piece::Headers, RUNTIME, file("include/nrt/nrt.h")), compiler, library]
}

/// The version in the name of the file that a link leads to, as in `libnrt.so.2.31.24.0`.
fn version_of_file(path: &Path) -> Option<String> {
    let name = path.canonicalize().ok()?.file_name()?.to_str()?.to_owned();
    let (_, version) = name.split_once(".so.")?;
    version.contains('.').then(|| version.to_owned())
}

/// The first file of that name below a folder, in the order of names.
fn search(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut level = vec![folder.to_owned()];
    let mut entries = 0;
    for _ in 0..DEPTH {
        let mut below = Vec::new();
        for folder in level {
            let file = folder.join(name);
            if file.is_file() {
                return Some(file);
            }
            let Ok(found) = std::fs::read_dir(&folder) else { continue };
            let folders = found.flatten().inspect(|_| entries += 1);
            below.extend(folders.filter(|entry| entry.file_type().is_ok_and(|ty| ty.is_dir())).map(|e| e.path()));
            if entries > ENTRIES {
                return None;
            }
        }
        below.sort();
        level = below;
    }
    None
}

fn interpreter(python: Option<&Python>) -> Finding {
    let name = Piece::Python.name();
    let Some(python) = python else {
        return Finding::missing(name, "install Python, or activate the virtual environment of the Deep Learning AMI");
    };
    let found =
        Finding { version: Some(python.version.clone()), path: Some(python.interpreter.clone()), ..Finding::ok(name) };
    let (major, minor) = OLDEST_PYTHON;
    if release(&python.version).is_some_and(|version| version < OLDEST_PYTHON) {
        let note = format!("builds op packages, but gpsimd_torch needs Python {major}.{minor}");
        return found.but(
            FindingState::Doubtful,
            note,
            format!("make a virtual environment of Python {major}.{minor} or newer"),
        );
    }
    found
}

/// What `torch.utils.cpp_extension`, which builds the part of a library for the host, takes of the system.
fn for_extensions(python: Option<&Python>, packages: &Packages) -> [Finding; 2] {
    let find = |piece: Piece, path: Option<&PathBuf>, fix: String| match path {
        Some(path) => Finding { path: Some(path.clone()), ..Finding::ok(piece.name()) },
        None => Finding::missing(piece.name(), fix),
    };
    let headers = python.and_then(|python| python.headers.as_ref());
    let ninja = python.and_then(|python| python.ninja.as_ref());
    [
        find(Piece::PythonHeaders, headers, packages.install_headers_of_python()),
        find(Piece::Ninja, ninja, pip_install(python, "ninja")),
    ]
}

fn of_python(python: Option<&Python>) -> [Finding; 4] {
    let (major, minor) = LAST_TORCH;
    let all = format!("'torch=={major}.{minor}.*' 'torch-xla=={major}.{minor}.*' {NEURONX} {COMPILER}");
    let version = |package: &str| python.and_then(|python| python.package(package));
    let find = |piece: Piece, install: &str| {
        let name = piece.name();
        match version(name) {
            Some(version) => Finding { version: Some(version.into()), package: Some(name), ..Finding::ok(name) },
            None => Finding { package: Some(name), ..Finding::missing(name, pip_install(python, install)) },
        }
    };
    let torch = version("torch").and_then(release);
    let fits = |finding: Finding, state: FindingState| match (torch, finding.version.as_deref().and_then(release)) {
        (Some(torch), Some(own)) if torch != own => {
            let note = format!("is made for torch {}.{}, found {}.{}", own.0, own.1, torch.0, torch.1);
            finding.but(state, note, pip_install(python, &all))
        }
        _ => finding,
    };
    let mut found = find(Piece::Torch, &all);
    if torch.is_some_and(|torch| torch > LAST_TORCH) {
        let note = format!("PyTorch {major}.{minor} is the last that Neuron supports through PyTorch/XLA");
        found = found.but(FindingState::Wrong, note, pip_install(python, &all));
    }
    // That the version of torch-neuronx starts with that of torch is our assumption.
    let mut neuron = fits(find(Piece::TorchNeuronx, &all), FindingState::Doubtful);
    if neuron.version.is_some() && python.is_some_and(|python| !python.has_neuron) {
        neuron = neuron.but(
            FindingState::Wrong,
            "is installed, but has no module `torch_neuronx`",
            pip_install(python, &all),
        );
    }
    [found, fits(find(Piece::TorchXla, &all), FindingState::Wrong), neuron, find(Piece::NeuronCompiler, COMPILER)]
}
