//! [`Libnrt`]: libnrt, opened.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::bindings::{self, Functions};
use super::error::{Error, LibnrtError, check};

/// The library's name for the loader.
const NAME: &str = "libnrt.so.1";
/// Where its package puts it, below the SDK's folder.
const IN_SDK: &str = "lib/libnrt.so.1";
const SDK_ROOT: &str = "/opt/aws/neuron";
/// A symbol that only gpsimd's emulation has.
const EMULATED: &str = "gpsimd_emulated_libnrt";

/// Every library opened in this process: the same file is one of them, however often and by what name it is opened.
static OPENED: Mutex<Vec<&'static Opened>> = Mutex::new(Vec::new());

/// libnrt, opened. It stays loaded until the process ends.
#[derive(Clone)]
pub struct Libnrt {
    opened: &'static Opened,
}

struct Opened {
    path: PathBuf,
    functions: Functions,
    is_emulated: bool,
    state: Mutex<State>,
}

/// Of a library in this process.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum State {
    Fresh,
    Initialised,
    Closed,
}

impl Libnrt {
    /// Opens `$NEURON_RT_LIBRARY` if it is set, otherwise `libnrt.so.1` where the loader finds it, otherwise that of the
    /// SDK in `$NEURON_SDK_ROOT` or `/opt/aws/neuron`.
    ///
    /// # Errors
    /// When there is none, and when it has not the documented functions.
    pub fn open() -> Result<Self, LibnrtError> {
        if let Some(named) = std::env::var_os("NEURON_RT_LIBRARY") {
            return Self::load(Path::new(&named)).map_err(|error| error.named_by("named in NEURON_RT_LIBRARY"));
        }
        let root = std::env::var_os("NEURON_SDK_ROOT").map_or_else(|| PathBuf::from(SDK_ROOT), PathBuf::from);
        let mut tried = Vec::new();
        for path in [PathBuf::from(NAME), root.join(IN_SDK)] {
            match Self::load(&path) {
                Err(LibnrtError::Load { problem, .. }) => tried.push(problem),
                other => return other,
            }
        }
        Err(LibnrtError::NotFound { tried })
    }

    /// Opens a library by its path.
    ///
    /// # Errors
    /// When it cannot be loaded, and when it has not the documented functions.
    pub fn open_at(path: &Path) -> Result<Self, LibnrtError> {
        Self::load(path)
    }

    fn load(path: &Path) -> Result<Self, LibnrtError> {
        let failed = |error: libloading::Error| LibnrtError::Load {
            path: path.to_path_buf(),
            named_by: "which the caller names",
            problem: problem(&error),
        };
        // SAFETY: what runs when a library is loaded is up to that library; this is the one that was asked for.
        let library = unsafe { libloading::Library::new(path) }.map_err(failed)?;
        // SAFETY: the symbol is not used, and a pointer can be anything.
        let has = |name: &str| unsafe { library.get::<*const ()>(name) }.is_ok();
        let is_emulated = has(EMULATED);
        let missing: Vec<_> = bindings::NAMES.into_iter().filter(|name| !has(name)).collect();
        if !missing.is_empty() {
            return Err(LibnrtError::Functions { path: path.to_path_buf(), missing });
        }
        // SAFETY: the functions have the types of the headers, by the documentation. `Runtime` checks the version, as
        // far as that can be done.
        let functions = unsafe { Functions::from_library(library) }.map_err(failed)?;
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        let address = |functions: &Functions| functions.nrt_init as *const () as usize;
        if let Some(opened) = opened.iter().find(|opened| address(&opened.functions) == address(&functions)) {
            return Ok(Self { opened });
        }
        // Never unloaded: a driver's library may have threads of its own.
        let (path, state) = (path.to_path_buf(), Mutex::new(State::Fresh));
        let new = Box::leak(Box::new(Opened { path, functions, is_emulated, state }));
        opened.push(new);
        Ok(Self { opened: new })
    }

    /// The path that it was first opened by.
    pub fn path(&self) -> &'static Path {
        &self.opened.path
    }

    /// Whether this is gpsimd's emulation, and no device is behind it.
    pub fn is_emulated(&self) -> bool {
        self.opened.is_emulated
    }

    /// `NeuronCores` of the instance.
    ///
    /// # Errors
    /// What the runtime returns.
    pub fn total_cores(&self) -> Result<u32, Error> {
        let mut count = 0;
        // SAFETY: the call writes one number.
        let status = unsafe { self.functions().nrt_get_total_nc_count(&raw mut count) };
        check(status, "nrt_get_total_nc_count", || "the instance".into())?;
        Ok(count)
    }

    /// `NeuronCores` that this process may use.
    ///
    /// # Errors
    /// What the runtime returns.
    pub fn visible_cores(&self) -> Result<u32, Error> {
        let mut count = 0;
        // SAFETY: the call writes one number.
        let status = unsafe { self.functions().nrt_get_visible_nc_count(&raw mut count) };
        check(status, "nrt_get_visible_nc_count", || "this process".into())?;
        Ok(count)
    }

    pub(super) fn functions(&self) -> &'static Functions {
        &self.opened.functions
    }

    pub(super) fn state(&self) -> &'static Mutex<State> {
        &self.opened.state
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.opened, other.opened)
    }
}

impl std::fmt::Debug for Libnrt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Libnrt").field(&self.opened.path).finish()
    }
}

/// What the loader says.
fn problem(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

impl LibnrtError {
    fn named_by(mut self, by: &'static str) -> Self {
        if let Self::Load { named_by, .. } = &mut self {
            *named_by = by;
        }
        self
    }
}
