//! PyTorch's own OpenMP threads as the engine's workers.
//!
//! libgomp's threads spin for a while after each of PyTorch's parallel regions before they sleep. On a second pool of
//! threads an emulated core would wait for a CPU that a spinning thread holds; on libgomp's own threads it starts at
//! once. `GOMP_parallel` is the function that compilers call for `#pragma omp parallel`, part of libgomp's stable ABI.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use gpsimd_emulator::Workers;
use pyo3::prelude::*;

/// The functions of libgomp that [`use_openmp`] takes, in its order.
pub(crate) const SYMBOLS: [&str; 2] = ["GOMP_parallel", "omp_get_max_threads"];

type Region = unsafe extern "C" fn(*mut c_void);
type Parallel = unsafe extern "C" fn(region: Region, data: *mut c_void, threads: c_uint, flags: c_uint);
type MaxThreads = unsafe extern "C" fn() -> c_int;

static OPENMP: OnceLock<OpenMp> = OnceLock::new();

/// The OpenMP runtime of PyTorch.
#[derive(Clone, Copy)]
pub(crate) struct OpenMp {
    parallel: Parallel,
    max_threads: MaxThreads,
    /// Whose threads they are. A process forked from it has none of them, and libgomp would wait for them for ever.
    process: u32,
}

/// PyTorch's threads, once `use_openmp` has been called.
pub(crate) fn threads() -> Option<OpenMp> {
    OPENMP.get().copied()
}

/// Takes the addresses of `SYMBOLS` in the libgomp that PyTorch uses. Engines built from then on run on its threads.
#[pyfunction]
pub(crate) fn use_openmp(parallel: usize, max_threads: usize) {
    let openmp = OpenMp {
        // SAFETY: `ops.py` passes the address of the function of this name and type in PyTorch's libgomp.
        parallel: unsafe { std::mem::transmute::<*const (), Parallel>(std::ptr::with_exposed_provenance(parallel)) },
        // SAFETY: as above.
        max_threads: unsafe {
            std::mem::transmute::<*const (), MaxThreads>(std::ptr::with_exposed_provenance(max_threads))
        },
        process: std::process::id(),
    };
    // A second call means the same libgomp.
    let _ = OPENMP.set(openmp);
}

/// What the threads of a parallel region share.
struct Shared<'a> {
    next: AtomicUsize,
    tasks: usize,
    task: &'a (dyn Fn(usize) + Sync),
}

impl Workers for OpenMp {
    fn threads(&self) -> usize {
        if self.process != std::process::id() {
            return 1;
        }
        // SAFETY: takes nothing, and may be called from any thread.
        let threads = unsafe { (self.max_threads)() };
        usize::try_from(threads).unwrap_or(1).max(1)
    }

    fn dispatch(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let shared = Shared { next: AtomicUsize::new(0), tasks, task };
        let threads = self.threads().min(tasks).max(1) as c_uint;
        // SAFETY: `region` matches the type that libgomp calls, `shared` lives until `GOMP_parallel` returns, which is
        // after all threads have left the region.
        unsafe { (self.parallel)(region, (&raw const shared).cast_mut().cast(), threads, 0) };
    }
}

unsafe extern "C" fn region(data: *mut c_void) {
    // SAFETY: `dispatch` passes a `Shared` that outlives the region and is only shared.
    let shared = unsafe { &*data.cast::<Shared<'_>>() };
    loop {
        let index = shared.next.fetch_add(1, Ordering::Relaxed);
        if index >= shared.tasks {
            return;
        }
        (shared.task)(index);
    }
}
