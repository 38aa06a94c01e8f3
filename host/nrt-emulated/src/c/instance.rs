//! What the emulated instance is, and how full its memory.

use std::ffi::c_int;

use super::lifecycle::text;
use super::model::core;
use super::{NrtStatus, argument, call, expect_pointer, write_sized};
use crate::runtime;
use crate::settings::{environment, read_cores};

/// `NRT_INSTANCE_TRN1`.
const TRN1: u32 = 2;
/// `NRT_INSTANCE_SIZE_2XL`, `NRT_INSTANCE_SIZE_32XL`, `NRT_INSTANCE_SIZE_UNKNOWN`.
const SIZES: [u32; 3] = [1, 6, 9];
/// NeuronCores of a Trainium chip.
const CORES_PER_DEVICE: usize = 2;

/// `nrt_instance_info_t`.
#[repr(C)]
struct NrtInstanceInfo {
    family: u32,
    size: u32,
    arch_name: [u8; 16],
    device_revision: [u8; 8],
}

/// The Trn1 instance with as many NeuronCores, if there is one. At any time, which is our assumption.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_instance_info(info: *mut NrtInstanceInfo, instance_info_len: usize) -> NrtStatus {
    call("nrt_get_instance_info", || {
        let (cores, _) = read_cores(&environment)?;
        let [two, thirty_two, unknown] = SIZES;
        let size = match cores {
            2 => two,
            32 => thirty_two,
            _ => unknown,
        };
        let found = NrtInstanceInfo { family: TRN1, size, arch_name: text("emulated"), device_revision: text("none") };
        let mut written = 0;
        // SAFETY: the program says that it has as many bytes there.
        unsafe { write_sized(["info", "instance_info_len", ""], found, info, instance_info_len, &raw mut written) }
    })
}

/// `nrt_vnc_memory_stats_t`.
#[repr(C)]
struct NrtVncMemoryStats {
    bytes_used: usize,
    bytes_limit: usize,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_vnc_memory_stats(
    vnc: u32,
    stats: *mut NrtVncMemoryStats,
    stats_size_in: usize,
    stats_size_out: *mut usize,
) -> NrtStatus {
    call("nrt_get_vnc_memory_stats", || {
        let runtime = runtime::current()?;
        let index = core(&runtime, i32::try_from(vnc).unwrap_or(i32::MAX))?;
        let (used, limit) = runtime.cores[index].hbm.usage();
        let found = NrtVncMemoryStats { bytes_used: used as usize, bytes_limit: limit as usize };
        let names = ["stats", "stats_size_in", "stats_size_out"];
        // SAFETY: the program says that it has `stats_size_in` bytes there, and a number.
        unsafe { write_sized(names, found, stats, stats_size_in, stats_size_out) }
    })
}

/// The emulated instance is not a container: its numbers are those of the host.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_host_device_id_get(neuron_dev: c_int, host_device_id: *mut u32) -> NrtStatus {
    call("nrt_host_device_id_get", || {
        runtime::current()?;
        expect_pointer("host_device_id", host_device_id)?;
        let devices = read_cores(&environment)?.0.div_ceil(CORES_PER_DEVICE);
        let device = usize::try_from(neuron_dev).ok().filter(|&device| device < devices);
        let device = device.ok_or_else(|| argument("neuron_dev", neuron_dev, format_args!("0 to {}", devices - 1)))?;
        // SAFETY: not null, and the program gives it for a number.
        unsafe { host_device_id.write(device as u32) };
        Ok(())
    })
}
