//! Builds the programs and libraries of `tests/c`, and runs their cases.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::neffs;

/// How a program is compiled.
#[derive(Clone, Copy, Hash, PartialEq)]
pub(crate) enum Build {
    /// With `AddressSanitizer` and `LeakSanitizer`: no access out of bounds, nothing freed twice, nothing lost at the end.
    Sanitized,
    /// As programs are: for what a sanitizer's own memory would hide.
    Plain,
}

/// A run of a case: a process to start, and the folder that it has for itself.
pub(crate) struct Run {
    pub(crate) command: Command,
    /// Kept as long as the process runs.
    pub(crate) folder: TempDir,
}

/// A case of a program, with NeuronCores and temporary files of its own and no settings.
pub(crate) fn run(program: &str, case: &str, build: Build) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = Command::new(compile(program, build));
    let settings = std::env::vars().map(|(name, _)| name);
    for name in settings.filter(|name| name.starts_with("NEURON_RT_") || name.starts_with("GPSIMD_")) {
        command.env_remove(name);
    }
    command
        .arg(case)
        // For what a case writes.
        .current_dir(folder.path())
        .env("TEST_NEFFS", neffs::folder())
        .env("TMPDIR", &temporary)
        .env("GPSIMD_EMULATED_LOCK_DIR", folder.path().join("locks"))
        // What the host cannot give is a status, not the end of the program.
        .env("ASAN_OPTIONS", "allocator_may_return_null=1:detect_leaks=1");
    Run { command, folder }
}

/// Runs a case to its end, which has to be a good one, and returns its log.
pub(crate) fn pass(program: &str, case: &str, build: Build, settings: &[(&str, &str)]) -> String {
    let mut run = run(program, case, build);
    let output = run.command.envs(settings.iter().copied()).output().unwrap();
    expect_success(&format!("{program}: {case}"), &output);
    String::from_utf8(output.stderr).unwrap()
}

pub(crate) fn expect_success(what: &str, output: &Output) {
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{log}", output.status);
    assert!(!log.contains("panicked at"), "{what}:\n{log}");
}

/// The folder that cargo builds libraries and tests in.
pub(crate) fn built() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_path_buf()
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c")
}

/// A folder with `libnrt.so.1` and the link for the linker, as an installed runtime has them.
fn runtime() -> &'static Path {
    static RUNTIME: OnceLock<PathBuf> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime");
        std::fs::create_dir_all(&folder).unwrap();
        let library = built().join("libnrt.so");
        assert!(library.exists(), "{} is built with the tests", library.display());
        for (name, target) in [("libnrt.so.1", library.as_path()), ("libnrt.so", Path::new("libnrt.so.1"))] {
            // Another process of the same tests may do the same.
            let link = folder.join(name);
            let unfinished = folder.join(format!("{name}.{}", std::process::id()));
            std::os::unix::fs::symlink(target, &unfinished).unwrap();
            std::fs::rename(&unfinished, link).unwrap();
        }
        folder
    })
}

/// Compiles a program of `tests/c` and returns its path.
fn compile(program: &str, build: Build) -> PathBuf {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nrt/include");
    let sanitize: &[&str] = match build {
        Build::Sanitized => &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        Build::Plain => &["-O1"],
    };
    let runtime = runtime();
    let mut arguments: Vec<String> = sanitize.iter().map(ToString::to_string).collect();
    arguments.extend([format!("-I{}", include.display()), "-pthread".into()]);
    let link = [format!("-L{}", runtime.display()), format!("-Wl,-rpath,{}", runtime.display())];
    arguments.extend(link.into_iter().chain(["-lnrt".into(), "-lm".into(), "-ldl".into()]));
    let mut inputs = vec![sources().join("check.h")];
    for folder in ["ndl", "nrt"] {
        inputs.extend(std::fs::read_dir(include.join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    build_c(&sources().join(format!("{program}.c")), program, &inputs, &arguments)
}

/// Compiles the op library of the test NEFFs and returns its path.
pub(crate) fn op_library() -> PathBuf {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels/gpsimd-abi/include/gpsimd_abi.h");
    let arguments = ["-O1", "-shared", "-fPIC"].map(String::from).to_vec();
    let arguments = [arguments, vec![format!("-I{}", header.parent().unwrap().display())]].concat();
    build_c(&sources().join("ops.c"), "libops.so", &[header], &arguments)
}

/// Compiles a C file, once for the same inputs and arguments.
fn build_c(source: &Path, name: &str, inputs: &[PathBuf], arguments: &[String]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    for file in inputs.iter().map(PathBuf::as_path).chain([source]) {
        std::fs::read(file).unwrap().hash(&mut hasher);
    }
    arguments.hash(&mut hasher);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{:016x}-{name}", hasher.finish()));
    if target.exists() {
        return target;
    }
    // Tests run at the same time, in several processes: each builds its own and renames it in place.
    let unfinished = target.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = cc::Build::new()
        .cargo_metadata(false)
        .target(&triple)
        .host(&triple)
        .opt_level(1)
        .out_dir(env!("CARGO_TARGET_TMPDIR"))
        .get_compiler()
        .to_command()
        .args(["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror"])
        .arg(source)
        .arg("-o")
        .arg(&unfinished)
        .args(arguments)
        .output()
        .expect("a C compiler is installed");
    assert!(output.status.success(), "{}: {}", source.display(), String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&unfinished, &target).unwrap();
    target
}
