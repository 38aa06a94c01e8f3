//! Which file of this process an instruction is of.

use std::ops::Range;

/// The addresses of the code that was loaded from the same file as `address`.
#[cfg(target_os = "linux")]
pub(crate) fn code_around(address: usize) -> Range<usize> {
    use std::ffi::{c_int, c_void};

    struct Search {
        address: usize,
        found: Range<usize>,
    }

    extern "C" fn visit(info: *mut libc::dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
        // SAFETY: the loader passes what it has loaded, and what was passed below.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
        // SAFETY: as many headers as it says.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) };
        let code = headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0);
        let ranges = code.map(|header| {
            let start = (info.dlpi_addr + header.p_vaddr) as usize;
            start..start + header.p_memsz as usize
        });
        let all = ranges.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or_default();
        if all.contains(&search.address) {
            search.found = all;
            return 1;
        }
        0
    }

    let mut search = Search { address, found: 0..0 };
    // SAFETY: `visit` is of the type that the loader calls, and `search` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}

/// Any: this system does not say.
#[cfg(target_os = "macos")]
pub(crate) fn code_around(_: usize) -> Range<usize> {
    0..usize::MAX
}
