//! Loading and unloading models.

use std::ffi::c_void;

use super::{NrtStatus, argument, call, expect_pointer};
use crate::error::Error;
use crate::handles::Handle;
use crate::log::{self, Level};
use crate::model::Model;
use crate::runtime::{self, Runtime};
use crate::settings::{ModelSettings, environment};

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_load(
    neff_bytes: *const c_void,
    size: usize,
    vnc: i32,
    vnc_count: i32,
    model: *mut Handle,
) -> NrtStatus {
    call("nrt_load", || {
        let runtime = runtime::current()?;
        expect_pointer("neff_bytes", neff_bytes)?;
        expect_pointer("model", model)?;
        if isize::try_from(size).is_err() {
            return Err(argument("size", size, "the bytes of a NEFF"));
        }
        let vnc = if vnc == -1 { None } else { Some(core(&runtime, vnc)?) };
        if vnc_count != -1 {
            return Err(argument("vnc_count", vnc_count, "-1, as many as the NEFF wants"));
        }
        let settings = ModelSettings::read(&environment)?;
        // SAFETY: the program says that it has `size` bytes there.
        let bytes = unsafe { std::slice::from_raw_parts(neff_bytes.cast(), size) };
        let loaded = Model::load(&runtime, bytes, vnc, &settings)?;
        let message = format_args!("`{}` on NeuronCore {}", loaded.name, loaded.core().index);
        log::line(Level::Debug, "nrt_load", message);
        // SAFETY: not null, and the program gives it for a handle.
        unsafe { model.write(runtime.models.insert(loaded)) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrt_unload(model: Handle) -> NrtStatus {
    call("nrt_unload", || {
        // Its memory goes when no thread executes it any more.
        drop(runtime::current()?.models.remove(model)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_model_nc_count(model: Handle, nc_count: *mut u32) -> NrtStatus {
    call("nrt_get_model_nc_count", || {
        let model = runtime::current()?.models.get(model)?;
        expect_pointer("nc_count", nc_count)?;
        // SAFETY: not null, and the program gives it for a number.
        unsafe { nc_count.write(model.cores) };
        Ok(())
    })
}

/// A model is loaded once by every `nrt_load`.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_model_instance_count(model: Handle, instance_count: *mut u32) -> NrtStatus {
    call("nrt_get_model_instance_count", || {
        runtime::current()?.models.get(model)?;
        expect_pointer("instance_count", instance_count)?;
        // SAFETY: as above.
        unsafe { instance_count.write(1) };
        Ok(())
    })
}

/// The index of a core of this process.
pub(super) fn core(runtime: &Runtime, vnc: i32) -> Result<usize, Error> {
    let cores = runtime.cores.len();
    let index = usize::try_from(vnc).ok().filter(|&index| index < cores);
    index.ok_or_else(|| argument("vnc", vnc, format_args!("a NeuronCore of this process, 0 to {}", cores - 1)))
}
