//! Opening and closing the runtime; what there is and what this is.

use std::ffi::{c_char, c_uint};

use super::{NrtStatus, argument, call, expect_pointer, value};
use crate::error::Error;
use crate::runtime::{self, IDENTITY};
use crate::settings::{Settings, environment, read_cores};
use crate::status;

/// `NRT_FRAMEWORK_TYPE_NO_FW` and `NRT_FRAMEWORK_TYPE_PRECHECK`, the first and last that a program can be.
const FRAMEWORKS: std::ops::RangeInclusive<c_uint> = 1..=5;

/// `nrt_version_t`.
#[repr(C)]
struct NrtVersion {
    numbers: [u64; 4],
    rt_detail: [u8; 128],
    git_hash: [u8; 64],
}

/// What tells this library from the Neuron Runtime before anything is called: `dlsym` finds it here and not there.
#[unsafe(no_mangle)]
static gpsimd_emulated_libnrt: [u8; IDENTITY.len() + 1] = text(IDENTITY);

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_init(framework: c_uint, fw_version: *const c_char, fal_version: *const c_char) -> NrtStatus {
    call("nrt_init", || {
        runtime::open(|| {
            if !FRAMEWORKS.contains(&framework) {
                return Err(argument("framework", framework, "1 (no framework) to 5"));
            }
            // Our assumption: they may be empty, not null.
            expect_pointer("fw_version", fw_version)?;
            expect_pointer("fal_version", fal_version)?;
            Settings::read(&environment)
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrt_close() {
    value("nrt_close", (), runtime::close);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_total_nc_count(nc_count: *mut u32) -> NrtStatus {
    call("nrt_get_total_nc_count", || {
        expect_pointer("nc_count", nc_count)?;
        let (cores, _) = read_cores(&environment)?;
        // SAFETY: not null, and the program gives it for a number.
        unsafe { nc_count.write(cores as u32) };
        Ok(())
    })
}

/// A Trainium of the first generation has no logical cores of several physical ones: they are the same.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_total_vnc_count(vnc_count: *mut u32) -> NrtStatus {
    call("nrt_get_total_vnc_count", || {
        expect_pointer("vnc_count", vnc_count)?;
        let (cores, _) = read_cores(&environment)?;
        // SAFETY: as above.
        unsafe { vnc_count.write(cores as u32) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_visible_nc_count(nc_count: *mut u32) -> NrtStatus {
    // SAFETY: as above.
    call("nrt_get_visible_nc_count", || unsafe { visible_cores("nc_count", nc_count) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_visible_vnc_count(vnc_count: *mut u32) -> NrtStatus {
    // SAFETY: as above.
    call("nrt_get_visible_vnc_count", || unsafe { visible_cores("vnc_count", vnc_count) })
}

/// The cores that the process has, or, while the runtime is not open, those that it would ask for.
///
/// # Safety
/// `count` is null or leads to a number.
unsafe fn visible_cores(name: &'static str, count: *mut u32) -> Result<(), Error> {
    expect_pointer(name, count)?;
    let cores = match runtime::current() {
        Ok(runtime) => runtime.cores.len(),
        Err(_) => read_cores(&environment)?.1.count(),
    };
    // SAFETY: not null, and the caller's promise.
    unsafe { count.write(cores as u32) };
    Ok(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_version(ver: *mut NrtVersion, size: usize) -> NrtStatus {
    call("nrt_get_version", || {
        runtime::current()?;
        expect_pointer("ver", ver)?;
        let known = size_of::<NrtVersion>();
        if size < known {
            return Err(argument("size", size, format_args!("sizeof(nrt_version_t), {known} bytes")));
        }
        // Of gpsimd, below 1: no Neuron Runtime with this interface has such a number.
        let numbers =
            [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
        let [major, minor, patch] = numbers.map(|number| number.parse().unwrap_or(0));
        let git_hash = text("none: gpsimd emulated runtime");
        let version = NrtVersion { numbers: [major, minor, patch, 0], rt_detail: text(IDENTITY), git_hash };
        // SAFETY: the program says that it has as many bytes there.
        unsafe { ver.write(version) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrt_get_status_as_str(status: c_uint) -> *const c_char {
    status::name(status).as_ptr()
}

/// A text with zeros behind it.
pub(super) const fn text<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    while at < text.len() {
        bytes[at] = text.as_bytes()[at];
        at += 1;
    }
    bytes
}
