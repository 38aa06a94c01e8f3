//! Builds the C fixtures and launches their ops.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gpsimd_emulator::gpsimd_abi::C_HEADER;
use gpsimd_emulator::{Engine, KernelError, Launch, LaunchError, Mode, Op, OpLibrary, Tensor};

/// Elements of the usual operand: 10 for each core.
pub(crate) const LEN: usize = 80;

/// Compiles a C file of `tests/fixtures` to a shared library, with `NAME=VALUE` defined.
pub(crate) fn compile(source: &str, defines: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut hasher = DefaultHasher::new();
    std::fs::read(folder.join(source)).unwrap().hash(&mut hasher);
    C_HEADER.hash(&mut hasher);
    defines.hash(&mut hasher);
    let stem = source.trim_end_matches(".c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lib{stem}-{:016x}.so", hasher.finish()));
    if library.exists() {
        return library;
    }
    // Tests run at the same time, in several processes: each builds its own and renames it in place.
    let unfinished = library.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
    let headers = tempfile::tempdir().unwrap();
    std::fs::write(headers.path().join("gpsimd_abi.h"), C_HEADER).unwrap();
    let target = match std::env::consts::OS {
        "macos" => format!("{}-apple-darwin", std::env::consts::ARCH),
        os => format!("{}-unknown-{os}-gnu", std::env::consts::ARCH),
    };
    let output = cc::Build::new()
        .cargo_metadata(false)
        .target(&target)
        .host(&target)
        .opt_level(1)
        .out_dir(env!("CARGO_TARGET_TMPDIR"))
        .get_compiler()
        .to_command()
        // Where the compiler runs decides what `__FILE__` says.
        .current_dir(&folder)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"])
        .arg("-I")
        .arg(headers.path())
        .arg("-o")
        .arg(&unfinished)
        .args(defines.iter().map(|define| format!("-D{define}")))
        .arg(source)
        .output()
        .expect("a C compiler is installed");
    assert!(output.status.success(), "{source}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&unfinished, &library).unwrap();
    library
}

/// The library of `kernels.c`.
pub(crate) fn library() -> &'static OpLibrary {
    static LIBRARY: OnceLock<OpLibrary> = OnceLock::new();
    LIBRARY.get_or_init(|| OpLibrary::load(compile("kernels.c", &[])).unwrap())
}

pub(crate) fn op(name: &str) -> Op {
    library().op(name).unwrap()
}

pub(crate) fn engine(mode: Mode, threads: usize) -> Engine {
    Engine::builder().mode(mode).threads(threads).build().unwrap()
}

/// Engines in checked mode, with different numbers of threads.
pub(crate) fn checked_engines() -> &'static [Engine] {
    static ENGINES: OnceLock<Vec<Engine>> = OnceLock::new();
    ENGINES.get_or_init(|| [1, 2, 3, 8].map(|threads| engine(Mode::Checked, threads)).into())
}

/// 0, 1, 2, ...
pub(crate) fn iota(len: usize) -> Tensor {
    Tensor::from_vec((0..len).map(|i| i as f32).collect(), &[len]).unwrap()
}

/// What an op of one operand makes of 80 elements in checked mode; the same with every number of threads.
pub(crate) fn run(name: &str) -> Result<Tensor, LaunchError> {
    let (x, op) = (iota(LEN), op(name));
    same(checked_engines().iter().map(|engine| engine.call(&op, &[x.view()], &[])))
}

/// How the kernel of an op of one operand errs in checked mode.
pub(crate) fn error(name: &str) -> KernelError {
    kernel_error(run(name))
}

/// How the kernel of an op that adds a step to a state errs in place in checked mode; the state is kept.
pub(crate) fn error_in_place(name: &str) -> KernelError {
    let (state, step, op) = (iota(LEN), iota(LEN), op(name));
    let result = same(checked_engines().iter().map(|engine| {
        let mut replaced = state.clone();
        let launch = Launch { tensors: &[step.view()], scalars: &[], outputs: vec![replaced.view_mut()] };
        let result = engine.launch_in_place(&op, launch);
        assert_eq!(replaced, state, "the state is as it was");
        result
    }));
    kernel_error(result)
}

/// How the kernel of an op that adds a step to a state errs with an output of its own in checked mode.
pub(crate) fn error_out_of_place(name: &str) -> KernelError {
    let (state, step, op) = (iota(LEN), iota(LEN), op(name));
    kernel_error(same(checked_engines().iter().map(|engine| engine.call(&op, &[state.view(), step.view()], &[]))))
}

fn kernel_error<T: std::fmt::Debug>(result: Result<T, LaunchError>) -> KernelError {
    match result {
        Err(LaunchError::Kernel(error)) => *error,
        other => panic!("expected an error of the kernel, got {other:?}"),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(results: impl IntoIterator<Item = T>) -> T {
    let mut results = results.into_iter();
    let first = results.next().unwrap();
    results.for_each(|other| assert_eq!(first, other, "the number of threads makes a difference"));
    first
}

/// Asserts an error's variant and its message.
#[macro_export]
macro_rules! assert_error {
    ($error:expr, $variant:pat, @$message:literal) => {{
        let error = $error;
        assert!(matches!(error, $variant), "{error:?}");
        insta::assert_snapshot!(error, @$message);
    }};
}
