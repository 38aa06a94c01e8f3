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
pub(crate) const SYMBOLS: [&str; 3] = ["GOMP_parallel", "omp_get_max_threads", "omp_get_thread_num"];

type Region = unsafe extern "C" fn(*mut c_void);
type Parallel = unsafe extern "C" fn(region: Region, data: *mut c_void, threads: c_uint, flags: c_uint);
type Number = unsafe extern "C" fn() -> c_int;

static OPENMP: OnceLock<OpenMp> = OnceLock::new();

/// The OpenMP runtime of PyTorch.
#[derive(Clone, Copy)]
pub(crate) struct OpenMp {
    parallel: Parallel,
    max_threads: Number,
    /// Of the thread that asks, in its region.
    thread: Number,
    /// Whose threads they are. A process forked from it has none of them, and libgomp would wait for them for ever.
    process: u32,
}

/// PyTorch's threads, once `use_openmp` has been called.
pub(crate) fn threads() -> Option<OpenMp> {
    OPENMP.get().copied()
}

/// Takes the addresses of `SYMBOLS` in the libgomp that PyTorch uses. Engines built from then on run on its threads.
#[pyfunction]
pub(crate) fn use_openmp(parallel: usize, max_threads: usize, thread: usize) {
    let openmp = OpenMp {
        // SAFETY: `ops.py` passes the address of the function of this name and type in PyTorch's libgomp.
        parallel: unsafe { std::mem::transmute::<*const (), Parallel>(std::ptr::with_exposed_provenance(parallel)) },
        // SAFETY: as above.
        max_threads: unsafe {
            std::mem::transmute::<*const (), Number>(std::ptr::with_exposed_provenance(max_threads))
        },
        // SAFETY: as above.
        thread: unsafe { std::mem::transmute::<*const (), Number>(std::ptr::with_exposed_provenance(thread)) },
        process: std::process::id(),
    };
    // A second call means the same libgomp.
    let _ = OPENMP.set(openmp);
}

/// What the threads of a parallel region share.
struct Shared<'a> {
    thread: Number,
    /// Of each thread, the next of its own tasks.
    next: Vec<AtomicUsize>,
    tasks: usize,
    task: &'a (dyn Fn(usize) + Sync),
}

impl Shared<'_> {
    /// The first of a thread's own tasks; those of neighbours follow. PyTorch's operators share their elements in the same
    /// way, so that a thread finds in its caches what it wrote there.
    fn first(&self, thread: usize) -> usize {
        thread * self.tasks / self.next.len()
    }

    /// Runs the tasks of `thread`, and what is left of the others'.
    fn run(&self, thread: usize) {
        let threads = self.next.len();
        for owner in (thread..threads).chain(0..thread) {
            let (Some(next), end) = (self.next.get(owner), self.first(owner + 1)) else { continue };
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= end {
                    break;
                }
                (self.task)(index);
            }
        }
    }
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
        let threads = self.threads().min(tasks).max(1);
        let mut shared = Shared { thread: self.thread, next: Vec::new(), tasks, task };
        shared.next.resize_with(threads, AtomicUsize::default);
        for (thread, next) in shared.next.iter().enumerate() {
            next.store(shared.first(thread), Ordering::Relaxed);
        }
        // SAFETY: `region` matches the type that libgomp calls, `shared` lives until `GOMP_parallel` returns, which is
        // after all threads have left the region.
        unsafe { (self.parallel)(region, (&raw const shared).cast_mut().cast(), threads as c_uint, 0) };
    }
}

unsafe extern "C" fn region(data: *mut c_void) {
    // SAFETY: `dispatch` passes a `Shared` that outlives the region and is only shared.
    let shared = unsafe { &*data.cast::<Shared<'_>>() };
    // SAFETY: takes nothing, and may be called from any thread.
    let thread = unsafe { (shared.thread)() };
    shared.run(usize::try_from(thread).unwrap_or(0));
}
