//! Collective operations, among one worker: the emulation connects no processes.

use std::ffi::c_void;

use super::model::core;
use super::{NrtStatus, argument, call, expect_pointer};
use crate::error::Error;
use crate::runtime;

const DEVICE: [&str; 2] = ["g_device_id", "g_device_count"];

#[unsafe(no_mangle)]
extern "C" fn nrt_build_global_comm(vnc: i32, g_device_id: u32, g_device_count: u32) -> NrtStatus {
    call("nrt_build_global_comm", || expect_one("nrt_build_global_comm", vnc, g_device_id, g_device_count))
}

#[unsafe(no_mangle)]
extern "C" fn nrt_cc_global_comm_init(vnc: u32, g_device_id: u32, g_device_count: u32) -> NrtStatus {
    call("nrt_cc_global_comm_init", || {
        let vnc = i32::try_from(vnc).unwrap_or(i32::MAX);
        expect_one("nrt_cc_global_comm_init", vnc, g_device_id, g_device_count)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrt_barrier(vnc: i32, g_device_id: u32, g_device_count: u32) -> NrtStatus {
    call("nrt_barrier", || expect_one("nrt_barrier", vnc, g_device_id, g_device_count))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_all_gather(
    vnc: i32,
    g_device_id: u32,
    g_device_count: u32,
    rank_input_size: u32,
    input: *mut c_void,
    output: *mut c_void,
) -> NrtStatus {
    call("nrt_all_gather", || {
        expect_one("nrt_all_gather", vnc, g_device_id, g_device_count)?;
        expect_pointer("input", input)?;
        expect_pointer("output", output)?;
        // SAFETY: the program says that it has as many bytes there; the two may be one buffer.
        unsafe { std::ptr::copy(input.cast::<u8>(), output.cast(), rank_input_size as usize) };
        Ok(())
    })
}

/// `vnc` of -1 is any core, as for `nrt_load`.
fn expect_one(function: &'static str, vnc: i32, id: u32, count: u32) -> Result<(), Error> {
    let runtime = runtime::current()?;
    if vnc != -1 {
        core(&runtime, vnc)?;
    }
    expect_alone(function, DEVICE, id, count)
}

/// Fails unless the process is worker 0 of 1.
pub(super) fn expect_alone(
    function: &'static str,
    [id_name, count_name]: [&'static str; 2],
    id: u32,
    count: u32,
) -> Result<(), Error> {
    if count == 0 {
        return Err(argument(count_name, count, "1 or more"));
    }
    if id >= count {
        return Err(argument(id_name, id, format_args!("less than {count_name}, {count}")));
    }
    if count > 1 {
        let problem = format!("it connects no workers, and {count_name} is {count}; 1 works");
        return Err(Error::NotEmulated { function, problem });
    }
    Ok(())
}
