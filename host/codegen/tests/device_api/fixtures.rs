//! Builds the C++ fixtures, each once.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gpsimd_codegen::host_build::{Compiler, CppBuild, HostBuildError, Optimisation, TorchFolder, build_cpp};
use gpsimd_emulator::{Engine, Mode, Op, OpLibrary};

/// A library made of `NAME.cpp` and `NAME_shape.cpp`.
pub(crate) struct Fixture {
    name: &'static str,
    is_multicore: bool,
    library: OnceLock<OpLibrary>,
}

pub(crate) static RELU: Fixture = Fixture::new("relu", false);
pub(crate) static RELU_MULTICORE: Fixture = Fixture::new("relu_multicore", true);
pub(crate) static COMPUTE: Fixture = Fixture::new("compute", false);
pub(crate) static COHERENCE: Fixture = Fixture::new("coherence", false);
pub(crate) static DTYPES: Fixture = Fixture::new("dtypes", true);
pub(crate) static FORMS: Fixture = Fixture::new("forms", false);
pub(crate) static NUMBERS: Fixture = Fixture::new("numbers", false);
pub(crate) static NUMBERS_MULTICORE: Fixture = Fixture::new("numbers", true);
pub(crate) static MISUSE: Fixture = Fixture::new("misuse", false);
pub(crate) static MISUSE_MULTICORE: Fixture = Fixture::new("misuse", true);

impl Fixture {
    const fn new(name: &'static str, is_multicore: bool) -> Self {
        Self { name, is_multicore, library: OnceLock::new() }
    }

    pub(crate) fn op(&self, name: &str) -> Op {
        let library = self.library.get_or_init(|| {
            let compute = [source(&format!("{}.cpp", self.name))];
            let shape = [source(&format!("{}_shape.cpp", self.name))];
            let build = CppBuild { is_multicore: self.is_multicore, ..cpp_build(&compute, &shape) };
            build_and_load(&build, self.name).unwrap_or_else(|error| panic!("{error}"))
        });
        library.op(name).unwrap()
    }
}

/// A file of `tests/device_api`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/device_api").join(name)
}

/// A file of this process and thread to build a library into.
pub(crate) fn output(name: &str) -> PathBuf {
    let name = format!("lib{name}-{}-{:?}.so", std::process::id(), std::thread::current().id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A build against our own headers, for one core.
pub(crate) fn cpp_build<'a>(compute: &'a [PathBuf], shape: &'a [PathBuf]) -> CppBuild<'a> {
    CppBuild {
        name: None,
        compute_sources: compute,
        shape_sources: shape,
        include_folders: &[],
        flags: &[],
        torch: None,
        is_multicore: false,
        optimisation: Optimisation::Speed,
    }
}

/// Builds and loads a library; its file is gone afterwards.
pub(crate) fn build_and_load(build: &CppBuild<'_>, name: &str) -> Result<OpLibrary, HostBuildError> {
    let output = output(name);
    build_cpp(build, &output, &Compiler::find()?)?;
    let library = OpLibrary::load(&output).unwrap_or_else(|error| panic!("{error}"));
    std::fs::remove_file(output).unwrap();
    Ok(library)
}

/// The installed PyTorch: `$GPSIMD_TORCH`, or that of the workspace's virtual environment.
pub(crate) fn torch() -> Option<TorchFolder> {
    if let Some(folder) = std::env::var_os("GPSIMD_TORCH") {
        return Some(TorchFolder::new(folder).unwrap_or_else(|error| panic!("{error}")));
    }
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/lib");
    let pythons = std::fs::read_dir(lib).ok()?;
    pythons.filter_map(Result::ok).find_map(|python| TorchFolder::new(python.path().join("site-packages/torch")).ok())
}

pub(crate) fn engine(mode: Mode) -> Engine {
    Engine::builder().mode(mode).build().unwrap()
}
