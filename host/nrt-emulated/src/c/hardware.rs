//! What leads to hardware that the emulation does not have.

use std::ffi::{c_char, c_int, c_void};

use super::{NrtStatus, call};
use crate::error::Error;
use crate::handles::Handle;
use crate::runtime;

#[unsafe(no_mangle)]
extern "C" fn nrt_tensor_get_device_allocation_info(tensor: Handle, _info: *mut c_void) -> NrtStatus {
    call("nrt_tensor_get_device_allocation_info", || {
        runtime::current()?.tensors.get(tensor)?;
        Err(missing("nrt_tensor_get_device_allocation_info", "device memory has no physical addresses"))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrt_get_dmabuf_fd(_va: u64, _size: u64, _fd: *mut c_int) -> NrtStatus {
    call("nrt_get_dmabuf_fd", || {
        runtime::current()?;
        Err(missing("nrt_get_dmabuf_fd", "there is no driver that exports device memory"))
    })
}

/// The one with a status of its own for an interface that is not there.
#[unsafe(no_mangle)]
extern "C" fn nrt_get_hbm_mmap_va(
    _device_id: c_int,
    _hbm_idx: c_int,
    _addr: *mut *mut c_void,
    _size: *mut usize,
) -> NrtStatus {
    call("nrt_get_hbm_mmap_va", || {
        runtime::current()?;
        Err(Error::NoMapping)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrt_get_attached_efa_bdf(_va: *const c_void, _efa_bdf: *mut c_char, _len: *mut usize) -> NrtStatus {
    call("nrt_get_attached_efa_bdf", || {
        runtime::current()?;
        Err(missing("nrt_get_attached_efa_bdf", "there are no EFA devices"))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrt_host_device_id_rid_map_get(_count: *mut u32, _map: *mut u32) -> NrtStatus {
    call("nrt_host_device_id_rid_map_get", || {
        runtime::current()?;
        Err(missing("nrt_host_device_id_rid_map_get", "there is no driver that routes between devices"))
    })
}

fn missing(function: &'static str, problem: &str) -> Error {
    Error::NotEmulated { function, problem: problem.into() }
}
