//! [`Runtime`]: the Neuron Runtime, from init to close.

use std::sync::{Arc, PoisonError};

use super::bindings::{self, Functions};
use super::error::{Error, NrtError, check};
use super::libnrt::{Libnrt, State};
use super::status::Status;
use super::version::Version;

/// The Neuron Runtime of this process. A clone is the same one; what is made from it holds it, and the last to be dropped
/// closes it.
#[derive(Clone, Debug)]
pub struct Runtime {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    library: Libnrt,
    version: Version,
}

impl Runtime {
    /// Initialises the runtime: takes the `NeuronCores` that the environment names (`NEURON_RT_VISIBLE_CORES`,
    /// `NEURON_RT_NUM_CORES`) for this process.
    ///
    /// # Errors
    /// When there is one already, or was one: after `nrt_close` every call returns [`Status::Closed`], and so does this.
    /// When the library is of another major version. Otherwise what the runtime returns, after which it may be tried again.
    pub fn init(library: &Libnrt) -> Result<Self, Error> {
        let mut state = library.state().lock().unwrap_or_else(PoisonError::into_inner);
        let what = || format!("the Neuron Runtime ({})", library.path().display());
        match *state {
            State::Fresh => {}
            State::Initialised => return Err(Error::Initialised),
            State::Closed => {
                return Err(NrtError { call: "nrt_init", what: what(), status: Status::Closed }.into());
            }
        }
        // SAFETY: the strings outlive the call; with no framework they are to be empty.
        let status =
            unsafe { library.functions().nrt_init(bindings::NRT_FRAMEWORK_TYPE_NO_FW, c"".as_ptr(), c"".as_ptr()) };
        check(status, "nrt_init", what)?;
        *state = State::Initialised;
        drop(state);

        // From here on dropping it closes the runtime.
        let mut inner = Inner { library: library.clone(), version: Version::of(&empty_version()) };
        inner.version = version(library)?;
        // The emulation has the version of gpsimd, and the interface of its headers.
        if inner.version.major != Version::SUPPORTED_MAJOR && !library.is_emulated() {
            return Err(Error::Version {
                library: library.path().to_path_buf(),
                found: inner.version.to_string(),
                expected: Version::SUPPORTED_MAJOR,
            });
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Which libnrt this is.
    pub fn version(&self) -> &Version {
        &self.inner.version
    }

    /// Whether this is gpsimd's emulation, and no device is behind it.
    pub fn is_emulated(&self) -> bool {
        self.inner.library.is_emulated()
    }

    /// The library, which counts the `NeuronCores`.
    pub fn library(&self) -> &Libnrt {
        &self.inner.library
    }

    pub(super) fn functions(&self) -> &'static Functions {
        self.inner.library.functions()
    }

    /// Fails when `other` is a runtime of another library, whose handles mean nothing to this one.
    pub(super) fn expect_same(
        &self,
        other: &Self,
        what: impl FnOnce() -> String,
        with: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        if self.inner.library.is_same(&other.inner.library) {
            return Ok(());
        }
        Err(Error::OtherRuntime { what: what(), with: with() })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut state = self.library.state().lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: it is initialised, and whatever was made from it held a `Runtime`, so all of that is freed.
        unsafe { self.library.functions().nrt_close() };
        *state = State::Closed;
    }
}

fn version(library: &Libnrt) -> Result<Version, Error> {
    let mut version = empty_version();
    // SAFETY: the call fills at most as many bytes as it is told.
    let status = unsafe { library.functions().nrt_get_version(&raw mut version, size_of::<bindings::nrt_version_t>()) };
    check(status, "nrt_get_version", || "the library".into())?;
    Ok(Version::of(&version))
}

fn empty_version() -> bindings::nrt_version_t {
    // SAFETY: numbers and arrays of characters, which may all be zero.
    unsafe { std::mem::zeroed() }
}
