//! [`Fake`]: `fake.c`, compiled and loaded.

use std::ffi::{CStr, CString, c_char, c_int, c_uint};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use gpsimd_nrt::{Libnrt, Model, NrtTensor, Placement, Runtime, TensorSet};
use tempfile::TempDir;

/// A fake libnrt of a test's own: the state of a library is the process's.
pub(crate) struct Fake {
    folder: TempDir,
    library: libloading::Library,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With `NAME=VALUE` defined.
    pub(crate) fn with(defines: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libnrt.so.1");
        std::fs::copy(compile(defines), &path).unwrap();
        // SAFETY: loading the fake runs nothing.
        let library = unsafe { libloading::Library::new(path) }.unwrap();
        Self { folder, library }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("libnrt.so.1")
    }

    pub(crate) fn open(&self) -> Libnrt {
        Libnrt::open_at(&self.path()).unwrap()
    }

    pub(crate) fn runtime(&self) -> Runtime {
        Runtime::init(&self.open()).unwrap()
    }

    /// What was called so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        // SAFETY: the function's type in fake.c; it returns a static string.
        let text = unsafe {
            CStr::from_ptr(self.library.get::<unsafe extern "C" fn() -> *const c_char>("fake_calls").unwrap()())
        };
        text.to_str().unwrap().lines().map(str::to_owned).collect()
    }

    /// Makes a function give a status from now on.
    pub(crate) fn fail(&self, function: &str, status: u32) {
        let function = CString::new(function).unwrap();
        // SAFETY: the function's type in fake.c, which copies the name.
        unsafe {
            self.library.get::<unsafe extern "C" fn(*const c_char, c_uint)>("fake_fail").unwrap()(
                function.as_ptr(),
                status,
            );
        }
    }

    /// The most executions there were at the same time.
    pub(crate) fn most_running(&self) -> i32 {
        // SAFETY: the function's type in fake.c.
        unsafe { self.library.get::<unsafe extern "C" fn() -> c_int>("fake_most_running").unwrap()() }
    }
}

/// A model with all that it needs to be executed.
pub(crate) struct Loaded {
    pub(crate) runtime: Runtime,
    pub(crate) model: Model,
    pub(crate) x: NrtTensor,
    pub(crate) y: NrtTensor,
    pub(crate) inputs: TensorSet,
    pub(crate) outputs: TensorSet,
}

impl Loaded {
    pub(crate) fn on(runtime: Runtime) -> Self {
        let model = Model::load(&runtime, b"NEFF".to_vec(), None).unwrap();
        let tensor = |info| NrtTensor::for_info(&runtime, Placement::Device(0), info).unwrap();
        let (x, y) = (tensor(&model.inputs()[0]), tensor(&model.outputs()[0]));
        let mut inputs = TensorSet::new(&runtime).unwrap();
        inputs.insert("x", &x).unwrap();
        let mut outputs = TensorSet::new(&runtime).unwrap();
        outputs.insert("y", &y).unwrap();
        Self { runtime, model, x, y, inputs, outputs }
    }
}

fn compile(defines: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = folder.join("tests/nrt/fake.c");
    let mut hasher = DefaultHasher::new();
    let headers = ["nrt.h", "nrt_status.h", "nrt_version.h", "nrt_experimental.h"];
    for file in headers.map(|name| folder.join("include/nrt").join(name)).iter().chain([&source]) {
        std::fs::read(file).unwrap().hash(&mut hasher);
    }
    defines.hash(&mut hasher);
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fake-{:016x}.so", hasher.finish()));
    if library.exists() {
        return library;
    }
    // Tests run at the same time: each builds its own and renames it in place.
    let unfinished = library.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
    let output = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", "-I"])
        .arg(folder.join("include"))
        .args(defines.iter().map(|define| format!("-D{define}")))
        .arg("-o")
        .arg(&unfinished)
        .arg(source)
        .output()
        .expect("a C compiler is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&unfinished, &library).unwrap();
    library
}
