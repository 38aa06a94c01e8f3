//! Loading and unloading models.

use std::ffi::c_void;

use super::collectives::expect_alone;
use super::{NrtStatus, argument, call, expect_pointer, write_sized};
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
    // SAFETY: the program says what its arguments lead to.
    call("nrt_load", || unsafe { load("nrt_load", neff_bytes, size, vnc, vnc_count, model) })
}

/// For one device: a model without others has nothing to exchange.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_load_collectives(
    neff_bytes: *const c_void,
    size: usize,
    vnc: i32,
    vnc_count: i32,
    ctx_device_id: u32,
    ctx_device_count: u32,
    model: *mut Handle,
) -> NrtStatus {
    call("nrt_load_collectives", || {
        runtime::current()?;
        expect_alone("nrt_load_collectives", ["ctx_device_id", "ctx_device_count"], ctx_device_id, ctx_device_count)?;
        // SAFETY: as above.
        unsafe { load("nrt_load_collectives", neff_bytes, size, vnc, vnc_count, model) }
    })
}

/// # Safety
/// `neff_bytes` is null or leads to `size` bytes, `model` is null or leads to a handle.
unsafe fn load(
    function: &'static str,
    neff_bytes: *const c_void,
    size: usize,
    vnc: i32,
    vnc_count: i32,
    model: *mut Handle,
) -> Result<(), Error> {
    let runtime = runtime::current()?;
    expect_pointer("neff_bytes", neff_bytes)?;
    expect_pointer("model", model)?;
    if isize::try_from(size).is_err() {
        return Err(argument("size", size, "the bytes of a NEFF"));
    }
    let vnc = if vnc == -1 { None } else { Some(core(&runtime, vnc)?) };
    // Documented as always -1; AWS's own clients give 1.
    if vnc_count != -1 && vnc_count != 1 {
        return Err(argument("vnc_count", vnc_count, "-1, as many as the NEFF wants, or 1"));
    }
    let settings = ModelSettings::read(&environment)?;
    // SAFETY: the program says that it has `size` bytes there.
    let bytes = unsafe { std::slice::from_raw_parts(neff_bytes.cast(), size) };
    let loaded = Model::load(&runtime, bytes, vnc, &settings)?;
    log::line(Level::Debug, function, format_args!("`{}` on NeuronCore {}", loaded.name, loaded.core().index));
    // SAFETY: not null, and the program gives it for a handle.
    unsafe { model.write(runtime.models.insert(loaded)) };
    Ok(())
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
    // SAFETY: as above.
    call("nrt_get_model_nc_count", || unsafe { model_cores(model, "nc_count", nc_count) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_model_vnc_count(model: Handle, vnc_count: *mut u32) -> NrtStatus {
    // SAFETY: as above.
    call("nrt_get_model_vnc_count", || unsafe { model_cores(model, "vnc_count", vnc_count) })
}

/// # Safety
/// `count` is null or leads to a number.
unsafe fn model_cores(model: Handle, name: &'static str, count: *mut u32) -> Result<(), Error> {
    let model = runtime::current()?.models.get(model)?;
    expect_pointer(name, count)?;
    // SAFETY: not null, and the caller's promise.
    unsafe { count.write(model.cores) };
    Ok(())
}

/// `nrt_model_info_t`.
#[repr(C)]
struct NrtModelInfo {
    vnc: u32,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_model_info(
    model: Handle,
    info: *mut NrtModelInfo,
    info_size_in: usize,
    info_size_out: *mut usize,
) -> NrtStatus {
    call("nrt_get_model_info", || {
        let model = runtime::current()?.models.get(model)?;
        let found = NrtModelInfo { vnc: model.core().index as u32 };
        // SAFETY: the program says that it has `info_size_in` bytes there, and a number.
        unsafe { write_sized(["info", "info_size_in", "info_size_out"], found, info, info_size_in, info_size_out) }
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
