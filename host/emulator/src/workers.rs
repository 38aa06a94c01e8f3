//! [`Workers`]: the host threads that emulated cores run on.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Host threads that an engine hands its cores to.
///
/// The engine has one of its own, [`ThreadPool`]; a host program that has a pool already lends that one, so
/// that two pools do not compete for the same CPUs.
pub trait Workers: Send + Sync {
    /// How many tasks can run at the same time, at least 1. With 1 the engine does not call [`Self::dispatch`] and runs
    /// on the thread that launches, as it does in a process forked since it was built.
    fn threads(&self) -> usize;

    /// Calls `task` once with every number below `tasks`, on any threads in any order, and returns when all calls have.
    ///
    /// A task must begin and end on one thread. Tasks need not run at the same time: none waits for another.
    fn dispatch(&self, tasks: usize, task: &(dyn Fn(usize) + Sync));
}

/// Calls `work` with each part, on the workers, or on this thread where there are none (or one).
///
/// What the workers forget is done here, and what they start twice is done once: they are someone else's code.
pub fn for_each<T: Send>(workers: Option<&dyn Workers>, parts: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
    let parts: Vec<_> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
    let task = |index: usize| {
        let part = parts.get(index).and_then(|part| part.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(part) = part {
            work(part);
        }
    };
    if let Some(workers) = workers.filter(|workers| parts.len() > 1 && workers.threads() > 1) {
        workers.dispatch(parts.len(), &task);
    }
    (0..parts.len()).for_each(task);
}

/// Workers of several engines, or of a builder and what it builds.
#[derive(Clone)]
pub(crate) struct SharedWorkers(Arc<dyn Workers>);

impl SharedWorkers {
    pub(crate) fn new(workers: Arc<dyn Workers>) -> Self {
        Self(workers)
    }
}

impl Deref for SharedWorkers {
    type Target = dyn Workers;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for SharedWorkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} threads", self.threads())
    }
}

/// The default [`Workers`]: the launching thread and a rayon pool of its own.
///
/// The launching thread takes part, so that the pool has one thread less than [`Workers::threads`] says.
#[derive(Debug)]
pub struct ThreadPool {
    helpers: Option<rayon::ThreadPool>,
    threads: usize,
    /// Whose threads they are.
    process: u32,
}

impl ThreadPool {
    /// A pool that runs up to `threads` tasks at the same time.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = threads.max(1);
        let helpers = match threads {
            1 => None,
            _ => Some(
                rayon::ThreadPoolBuilder::new()
                    .num_threads(threads - 1)
                    .thread_name(|index| format!("gpsimd-{}", index + 1))
                    .build()?,
            ),
        };
        Ok(Self { helpers, threads, process: std::process::id() })
    }
}

impl Workers for ThreadPool {
    fn threads(&self) -> usize {
        if self.process == std::process::id() { self.threads } else { 1 }
    }

    fn dispatch(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        // Every thread takes the next task when it is done with one: cores with less work leave room for the others.
        let next = AtomicUsize::new(0);
        let drain = || loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= tasks {
                break;
            }
            task(index);
        };
        match &self.helpers {
            None => drain(),
            Some(pool) => pool.in_place_scope(|scope| {
                for _ in 1..self.threads.min(tasks) {
                    scope.spawn(|_| drain());
                }
                drain();
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Forgets every third task, and starts the others twice.
    struct Careless;

    impl Workers for Careless {
        fn threads(&self) -> usize {
            2
        }

        fn dispatch(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
            (0..tasks).filter(|index| index % 3 > 0).for_each(|index| {
                task(index);
                task(index);
            });
        }
    }

    #[test]
    fn every_part_is_worked_on_once() {
        let pool = ThreadPool::new(3).unwrap();
        for workers in [None, Some(&Careless as &dyn Workers), Some(&pool)] {
            for parts in [0, 1, 7] {
                let mut done = vec![0; parts];
                for_each(workers, &mut done, |times| *times += 1);
                assert_eq!(done, vec![1; parts]);
            }
        }
    }

    #[test]
    fn a_pool_works_on_as_many_parts_at_once_as_it_has_threads() {
        let (pool, begun) = (ThreadPool::new(3).unwrap(), AtomicUsize::new(0));
        for_each(Some(&pool), 0..3, |_| {
            begun.fetch_add(1, Ordering::Relaxed);
            let started = Instant::now();
            while begun.load(Ordering::Relaxed) < 3 {
                assert!(started.elapsed() < Duration::from_secs(30), "the others wait for this part");
                std::thread::yield_now();
            }
        });
    }

    /// Counts what it is given, and forgets it.
    struct Counting(usize, AtomicUsize);

    impl Workers for Counting {
        fn threads(&self) -> usize {
            self.0
        }

        fn dispatch(&self, tasks: usize, _task: &(dyn Fn(usize) + Sync)) {
            self.1.fetch_add(tasks, Ordering::Relaxed);
        }
    }

    #[test]
    fn workers_get_several_parts_if_they_are_several() {
        for (threads, parts, expected) in [(2, 2, 2), (8, 7, 7), (2, 1, 0), (2, 0, 0), (1, 7, 0)] {
            let workers = Counting(threads, AtomicUsize::new(0));
            for_each(Some(&workers), 0..parts, |_| {});
            assert_eq!(workers.1.into_inner(), expected, "{parts} parts, {threads} threads");
        }
    }
}
