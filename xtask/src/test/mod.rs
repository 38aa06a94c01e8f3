//! `cargo xtask test`: all that a change must pass.

mod rust;

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::ValueEnum;

use crate::dependencies;
use crate::python::{self, Overlay, Python};
use crate::two_at_a_time::two_at_a_time;
use crate::workspace;
use crate::{ops_table, packaging, platforms, run_neff};
use cargo_gpsimd::{build, process};

/// Run every test: formatting, lints, Rust, the op package, the Xtensa programs, Python.
///
/// Sets up the Python environment and the wheel first. Stops at the first failure.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask test\n\
\x20 cargo xtask test rust          # one group: lint, rust, package, isa, check, neuron, python, platforms, packaging\n\
\x20 cargo xtask test python\n\
\x20 cargo xtask test rust --slow   # and the errors of gpsimd::math over every f32")]
pub(crate) struct Test {
    /// Groups to run [default: all]
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// With the group `rust`: the errors of `gpsimd::math` over every f32 too, some 20 minutes on two processors
    #[arg(long)]
    slow: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Group {
    /// rustfmt, clippy, rustdoc, ruff; licences and sources of dependencies
    Lint,
    /// Rust tests: kernels, golden files, properties, emulator, macros
    Rust,
    /// The op packages: they build, return the bits and report the messages of the native libraries, and their hot loops are vectorised
    Package,
    /// The kernels as Xtensa programs under QEMU: the bits and messages of the native library, and instruction counts.
    /// Skipped where QEMU or the linker is missing, unless `GPSIMD_REQUIRE_ISA=1`
    Isa,
    /// `cargo gpsimd check` on the bundled op libraries, on 200 operands of each op that much rests on, and 60 of others. `packaging`
    /// checks the crate that `cargo gpsimd new` makes
    Check,
    /// libnrt: its bindings from its header, and a NEFF on the emulated runtime against the golden files
    Neuron,
    /// Python tests: ops under autograd, optimizer, BERT, trainer. Those of the SDK that depend on PyTorch with
    /// the newest one, too, and those that compare with its numbers as on a CPU without wide vectors; those of XLA
    Python,
    /// Other hosts: every crate is type-checked for macOS on aarch64, and the golden tests run on Linux on aarch64 under
    /// QEMU, with the same snapshots. These are skipped where qemu-aarch64 is missing
    Platforms,
    /// Crates and wheels as people install them: what `cargo xtask package` does
    Packaging,
}

impl Test {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let groups = if self.groups.is_empty() { Group::value_variants().to_vec() } else { self.groups };
        let start = Instant::now();
        let needs_python =
            groups.iter().any(|group| !matches!(group, Group::Rust | Group::Isa | Group::Check | Group::Platforms));
        let overlays: &[_] = if groups.contains(&Group::Python) { &[Overlay::NewestTorch, Overlay::Xla] } else { &[] };
        let python = if needs_python { Some(Python::set_up_with(overlays)?) } else { None };
        let times = Mutex::new(vec![("set up".to_owned(), start.elapsed())]);
        let run = |group: &Group| {
            let start = Instant::now();
            match (group, &python) {
                (Group::Lint, Some(python)) => lint(python)?,
                (Group::Python, Some(python)) => python_tests(python)?,
                (Group::Rust, _) => rust::test(self.slow)?,
                (Group::Package, _) => package()?,
                (Group::Platforms, _) => platforms::test()?,
                (Group::Packaging, _) => packaging::run()?,
                (Group::Isa, _) => isa()?,
                (Group::Check, _) => check()?,
                (Group::Neuron, Some(python)) => neuron(python)?,
                (Group::Lint | Group::Neuron | Group::Python, None) => unreachable!("set up above"),
            }
            let name = group.to_possible_value().expect("no group is hidden").get_name().to_owned();
            times.lock().unwrap_or_else(PoisonError::into_inner).push((name, start.elapsed()));
            Ok(())
        };
        // Those that build in folders of their own, and wait for the linker and the network more than for processors.
        let (apart, in_turn): (Vec<_>, Vec<_>) =
            groups.iter().partition(|group| matches!(group, Group::Platforms | Group::Packaging));
        in_turn.iter().try_for_each(run)?;
        two_at_a_time(&apart, run)?;
        for (group, time) in times.into_inner().unwrap_or_else(PoisonError::into_inner) {
            println!("{group:<10} {:>5} s", time.as_secs());
        }
        println!("all tests passed in {} s", start.elapsed().as_secs());
        Ok(())
    }
}

pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace::root());
    cargo
}

fn lint(python: &Python) -> anyhow::Result<()> {
    process::run(cargo().args(["fmt", "--all", "--check"])).context("run `cargo fmt`")?;
    process::run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    process::run(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"))?;
    dependencies::check()?;
    ops_table::check()?;
    let folders = ["host/cli", "host/torch", "host/bert", "kernels", "tests"]
        .into_iter()
        .filter(|folder| workspace::root().join(folder).is_dir());
    process::run(python.command().args(["-m", "ruff", "check"]).args(folders.clone()))?;
    process::run(python.command().args(["-m", "ruff", "format", "--check"]).args(folders)).context("run `ruff format`")
}

fn python_tests(python: &Python) -> anyhow::Result<()> {
    let sdk = workspace::root().join("host/torch");
    let application = python::application();
    process::run(&mut pytest(python, &sdk))?;
    match &application {
        // It depends on the CPU and on PyTorch only through the ops, the optimizer and BERT: once is enough.
        Some(folder) => process::run(&mut pytest(python, folder))?,
        None => eprintln!("python: there is no host/bert in this checkout: the application's tests are left out"),
    }
    // What the tests say must not be what PyTorch happens to compute with this CPU's vector instructions.
    process::run(
        pytest(python, &sdk)
            .args(AGAINST_PYTORCH)
            .env("ATEN_CPU_CAPABILITY", "default")
            .env("ONEDNN_MAX_CPU_ISA", "AVX2"),
    )?;
    process::run(pytest(&python.with(Overlay::NewestTorch)?, &sdk).args(AGAINST_PYTORCH).args(THROUGH_PYTORCH))?;
    let xla = python.with(Overlay::Xla)?;
    for folder in [Some(sdk), application].into_iter().flatten() {
        process::run(pytest(&xla, &folder).args(["-m", "xla and not slow"]))?;
    }
    Ok(())
}

/// Those that compare with numbers of `PyTorch`.
const AGAINST_PYTORCH: [&str; 12] = [
    "tests/test_activations.py",
    "tests/test_autocast.py",
    "tests/test_bert.py",
    "tests/test_dtypes.py",
    "tests/test_functional.py",
    "tests/test_models.py",
    "tests/test_opinfo.py",
    "tests/test_ops.py",
    "tests/test_optim.py",
    "tests/test_outputs.py",
    "tests/test_sampling.py",
    "tests/test_searching.py",
];

/// Those that depend on how `PyTorch` calls ops: its dispatcher, compiler, processes and memory.
const THROUGH_PYTORCH: [&str; 6] = [
    "tests/test_devices.py",
    "tests/test_in_place.py",
    "tests/test_output_memory.py",
    "tests/test_processes.py",
    "tests/test_symbolic.py",
    "tests/test_transforms.py",
];

fn pytest(python: &Python, folder: &Path) -> Command {
    let mut pytest = python.command();
    pytest
        .current_dir(folder)
        // Each process holds PyTorch and a model or two: more than four would want gigabytes.
        .args(["-m", "pytest", "--numprocesses=auto", "--maxprocesses=4", "--dist=worksteal"])
        // Threads that wait for work in one process leave the cores to the others.
        .env("OMP_WAIT_POLICY", "passive")
        // Tests start some hundred processes: to compile PyTorch and transformers in each takes longer than to import them.
        .env_remove("PYTHONDONTWRITEBYTECODE");
    pytest
}

/// Op libraries whose hot loops are all vectorised.
const VECTORISED: [&str; 10] = [
    "kernels/activation-ops",
    "kernels/bert-ops",
    "kernels/embedding-ops",
    "kernels/index-ops",
    "kernels/nn-ops",
    "kernels/sort-ops",
    "kernels/training-ops",
    "tests/ops/element-ops",
    "tests/ops/lane-ops",
    "tests/ops/math-ops",
];

/// An op library, and the test programs that take it.
type TestsOf<'t> = (&'t str, &'t [&'t str]);

/// The same tests and the same snapshots as of the native libraries: the same bits and the same messages.
const ON_EVERY_TIER: [TestsOf<'_>; 19] = [
    // Before those that take ops from them, which are compiled as others for these.
    ("kernels/bert-ops", &["golden", "properties", "shapes", "sizes", "layer_norm", "cross_entropy"]),
    ("kernels/index-ops", &["golden_index", "dropout", "index_ops"]),
    ("kernels/sampling-ops", &["sampling", "grid_sample"]),
    ("kernels/scatter-ops", &["scatter"]),
    ("kernels/counting-ops", &["counting"]),
    ("kernels/sort-ops", &["sort", "searchsorted", "selections"]),
    ("kernels/embedding-ops", &["embeddings"]),
    ("kernels/nn-ops", &["golden_nn", "quantise", "rms_norm", "rope", "swiglu"]),
    ("kernels/activation-ops", &["golden_activation", "activations"]),
    ("kernels/training-ops", &["adamw", "dropout_norm", "softmax_dropout"]),
    ("tests/ops/math-ops", &["math"]),
    ("tests/ops/lane-ops", &["lanes"]),
    ("tests/ops/element-ops", &["elements"]),
    ("tests/ops/output-ops", &["outputs"]),
    ("tests/ops/composed-ops", &["composed"]),
    ("tests/ops/index-dma-ops", &["indexed_dma"]),
    ("tests/faults/faulty-ops", &["misuse"]),
    ("tests/faults/silent-ops", &["silent"]),
    ("tests/faults/faulty-outputs", &["faulty_outputs"]),
];

fn package() -> anyhow::Result<()> {
    let runs = [&ON_EVERY_TIER[..], &[("tests/faults/image-ops", &["image"])]].concat();
    two_at_a_time(&runs, |&(library, tests)| {
        let results = build::build(&workspace::op_crate(library)?, "native", None)?;
        if VECTORISED.contains(&library) {
            results.expect_vectors()?;
        }
        let tests = tests.iter().flat_map(|test| ["--test", test]);
        process::run(workspace_tests().args(tests).env("GPSIMD_PACKAGE", &results.package))
    })
}

fn isa() -> anyhow::Result<()> {
    let missing: Vec<_> = gpsimd_isa::missing_tools().iter().map(ToString::to_string).collect();
    let reason = if missing.is_empty() {
        gpsimd_isa::ensure_nightly().err().map(|error| error.to_string())
    } else {
        Some(missing.join("; "))
    };
    if let Some(reason) = reason {
        ensure!(std::env::var_os("GPSIMD_REQUIRE_ISA").is_none(), "GPSIMD_REQUIRE_ISA is set, but {reason}");
        eprintln!("isa: skipped: {reason}");
        return Ok(());
    }
    let of_this_tier: [TestsOf<'_>; 3] =
        [("kernels/bert-ops", &["isa"]), ("tests/ops/float-ops", &["floats"]), ("tests/faults/dying-ops", &["deaths"])];
    // Those that count instructions take longest.
    let runs = [&of_this_tier[..], &ON_EVERY_TIER].concat();
    two_at_a_time(&runs, |&(library, tests)| {
        let program = build::isa_program(&workspace::op_crate(library)?)?;
        let tests = tests.iter().flat_map(|test| ["--test", test]);
        process::run(
            workspace_tests()
                .args(tests)
                // Some tests are of this tier alone.
                .args(["--", "--include-ignored"])
                .env("GPSIMD_ISA", &program),
        )
    })
}

/// Which cases: the same on every computer.
const CHECK: [&str; 4] = ["--seed", "1", "--tier", "package"];

fn check() -> anyhow::Result<()> {
    // The command as the tests have it: asked for alone, it would be built of dependencies with other features.
    process::run(workspace_tests().arg("--no-run"))?;
    let program = workspace::target().join("debug/cargo-gpsimd");
    // Op libraries, and how many cases of each op. Two at a time, the ones that take longest first.
    let runs = [
        ("kernels/bert-ops", "200"),
        ("kernels/index-ops", "200"),
        ("kernels/nn-ops", "200"),
        ("kernels/training-ops", "60"),
        ("kernels/sort-ops", "60"),
        ("kernels/scatter-ops", "60"),
        ("kernels/counting-ops", "60"),
        ("kernels/sampling-ops", "60"),
        ("kernels/embedding-ops", "60"),
        ("kernels/activation-ops", "60"),
    ];
    two_at_a_time(&runs, |(library, cases)| {
        let manifest = workspace::root().join(library).join("Cargo.toml");
        process::run(
            Command::new(&program).args(["check", "--cases", cases, "--manifest-path"]).arg(manifest).args(CHECK),
        )
    })
}

fn neuron(python: &Python) -> anyhow::Result<()> {
    // The group `rust` passes without libclang, and leaves these to this one.
    let libclang = python.package_folder("clang")?.join("native");
    process::run(
        workspace_tests()
            .args(["--test", "bindings"])
            .env("LIBCLANG_PATH", libclang)
            .env("GPSIMD_REQUIRE_LIBCLANG", "1"),
    )?;
    process::run(workspace_tests().arg("--no-run"))?;
    run_neff::on_golden_files()
}

/// All packages, in every group: with fewer, dependencies would be compiled again for other features.
pub(crate) fn workspace_tests() -> Command {
    let mut tests = cargo();
    // The extension module is tested from Python.
    tests.args(["test", "--workspace", "--exclude", "gpsimd-torch"]);
    tests
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cargo_metadata::MetadataCommand;

    use super::*;

    /// Op libraries and the crates below them have their tests elsewhere, and a test binary without a test takes as long to build.
    #[test]
    fn a_crate_that_says_it_has_no_tests_has_none() {
        let metadata = MetadataCommand::new().current_dir(workspace::root()).no_deps().exec().expect("the workspace");
        let mut count = 0;
        for package in &metadata.packages {
            let folder = package.manifest_path.with_file_name("src");
            for target in package.targets.iter().filter(|target| target.src_path == folder.join("lib.rs")) {
                let words = [(target.test, "#[test]"), (target.doctest, "/// ```"), (target.doctest, "//! ```")];
                for (_, word) in words.iter().filter(|(is_run, _)| !is_run) {
                    count += 1;
                    let file = file_with(folder.as_std_path(), word);
                    assert_eq!(file, None, "{word}: Cargo.toml says that there are no such tests");
                }
            }
        }
        assert!(count > 20, "{count}");
    }

    fn file_with(folder: &Path, word: &str) -> Option<std::path::PathBuf> {
        let entries = fs::read_dir(folder).expect("sources").map(|entry| entry.expect("a source").path());
        entries.into_iter().find_map(|path| {
            if path.is_dir() {
                return file_with(&path, word);
            }
            fs::read_to_string(&path).is_ok_and(|text| text.contains(word)).then_some(path)
        })
    }
}
