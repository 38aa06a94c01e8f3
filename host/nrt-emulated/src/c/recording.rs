//! Traces of all models and profiles of one.

use std::ffi::{CStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{NrtStatus, argument, call, expect_pointer};
use crate::error::Error;
use crate::handles::Handle;
use crate::runtime;

#[unsafe(no_mangle)]
extern "C" fn nrt_trace_start(trace_mem: bool) -> NrtStatus {
    call("nrt_trace_start", || runtime::current()?.recorder.start_trace(trace_mem))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_trace_stop(filename: *const c_char) -> NrtStatus {
    call("nrt_trace_stop", || {
        let runtime = runtime::current()?;
        // SAFETY: the program gives a text or null.
        let path = unsafe { path(filename) }?;
        runtime.recorder.stop_trace(&path, &runtime.cores)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_profile_start(model: Handle, filename: *const c_char) -> NrtStatus {
    call("nrt_profile_start", || {
        let runtime = runtime::current()?;
        let model = runtime.models.get(model)?;
        // SAFETY: as above.
        runtime.recorder.start_profile(model, unsafe { path(filename) }?)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_profile_stop(filename: *const c_char) -> NrtStatus {
    call("nrt_profile_stop", || {
        let runtime = runtime::current()?;
        // SAFETY: as above.
        runtime.recorder.stop_profile(&unsafe { path(filename) }?)
    })
}

/// The file named at `text`.
///
/// # Safety
/// `text` is null or leads to a text with its end.
unsafe fn path(text: *const c_char) -> Result<PathBuf, Error> {
    expect_pointer("filename", text)?;
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    if text.is_empty() {
        return Err(argument("filename", "empty", "the name of a file"));
    }
    Ok(Path::new(std::ffi::OsStr::from_bytes(text.to_bytes())).to_owned())
}
