//! The watchdog: one thread of the process that stops launches which take too long, or which somebody interrupts.
//!
//! It sleeps unless something is launched. A launch costs it an entry in a list.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use gpsimd_descriptor::limits::CORES;

use crate::guard::{InterruptSignal, Reason, Stop, Thread, around_forks, block_signals};

/// A launch older than this may hang: an interrupt of the program is one of it.
const OLD: Duration = Duration::from_millis(100);
/// Polling interval while something runs.
const INTERVAL: Duration = Duration::from_millis(25);
/// Polling interval while cores are being stopped: a signal that meets one in a device call has no effect.
const STOPPING_INTERVAL: Duration = Duration::from_millis(2);
/// Launches follow each other: it sleeps only when none has begun for as long.
const IDLE: Duration = Duration::from_secs(1);

thread_local! {
    /// What stops the launch that this thread runs a core of.
    static HERE: Cell<*const Stop> = const { Cell::new(ptr::null()) };
}

/// Whether the launch that this thread runs a core of is to end: past its time limit, or interrupted. For ops that are
/// code of the host and wait for something: see [`OpLibrary::from_static_host`](crate::OpLibrary::from_static_host).
pub fn is_stopping() -> bool {
    // SAFETY: `on_this_thread` has put it there, and takes it away before the launch ends.
    unsafe { HERE.get().as_ref() }.is_some_and(|stop| stop.get().is_some())
}

/// A launch under watch.
pub(crate) struct Watched<'a> {
    pub(crate) stop: Stop,
    pub(crate) limit: Option<Duration>,
    started: Instant,
    interrupts: Interrupts<'a>,
    /// The threads that run its cores now; 0 for none.
    threads: [AtomicUsize; CORES],
}

/// What interrupts a launch.
#[derive(Clone, Copy)]
pub(crate) struct Interrupts<'a> {
    /// How often the engine was interrupted.
    pub(crate) requests: &'a AtomicU64,
    /// Whether `SIGINT` does, too.
    pub(crate) heeds_signal: bool,
    /// `requests` when the launch began.
    before: u64,
}

impl<'a> Interrupts<'a> {
    pub(crate) fn new(requests: &'a AtomicU64, heeds_signal: bool) -> Self {
        Self { requests, heeds_signal, before: requests.load(Ordering::Relaxed) }
    }
}

impl<'a> Watched<'a> {
    pub(crate) fn new(limit: Option<Duration>, interrupts: Interrupts<'a>) -> Self {
        let threads = [const { AtomicUsize::new(0) }; CORES];
        Self { stop: Stop::default(), limit, started: Instant::now(), interrupts, threads }
    }

    /// Watches the launch for as long as the result lives.
    pub(crate) fn watch(&self) -> Watch<'_, 'a> {
        let mut registry = lock();
        if WAS_FORKED.swap(false, Ordering::Relaxed) {
            // The watchdog and the other threads' launches are the parent's.
            *registry = Registry::new();
        }
        registry.launches.push(Entry(std::ptr::from_ref(self).cast()));
        registry.begun += 1;
        if registry.is_running {
            if registry.is_asleep {
                registry.is_asleep = false;
                WAKE.notify_one();
            }
        } else {
            // Nothing stops what Miri interprets, and it reports a thread that outlives the program.
            registry.is_running = !cfg!(miri) && start();
        }
        Watch(self)
    }

    /// Runs `work`, core `core`'s part, on this thread.
    pub(crate) fn on_this_thread<T>(&self, core: u32, work: impl FnOnce() -> T) -> T {
        let thread = &self.threads[core as usize];
        thread.store(Thread::current().to_number(), Ordering::Relaxed);
        let before = HERE.replace(&raw const self.stop);
        let result = work();
        HERE.set(before);
        thread.store(0, Ordering::Relaxed);
        result
    }

    /// Stops the launch if it has to be; whether it is being stopped.
    fn look(&self, now: Instant, signal_came: bool) -> bool {
        let Interrupts { requests, heeds_signal, before } = self.interrupts;
        if self.limit.is_some_and(|limit| now.duration_since(self.started) >= limit) {
            self.stop.set(Reason::TimeLimit);
        }
        let is_hit = signal_came && heeds_signal && self.is_old(now);
        if is_hit || requests.load(Ordering::Relaxed) != before {
            self.stop.set(Reason::Interrupt);
        }
        if self.stop.get().is_none() {
            return false;
        }
        for thread in &self.threads {
            match thread.load(Ordering::Relaxed) {
                0 => {}
                number => Thread::from_number(number).signal(),
            }
        }
        true
    }

    fn is_old(&self, now: Instant) -> bool {
        now.duration_since(self.started) >= OLD
    }
}

/// Keeps a launch under watch.
pub(crate) struct Watch<'w, 'a>(&'w Watched<'a>);

impl Drop for Watch<'_, '_> {
    fn drop(&mut self) {
        let this = std::ptr::from_ref(self.0).cast();
        lock().launches.retain(|launch| launch.0 != this);
    }
}

struct Registry {
    launches: Vec<Entry>,
    /// Launches since the start.
    begun: u64,
    is_running: bool,
    is_asleep: bool,
}

/// A launch that is under watch, and so exists.
struct Entry(*const Watched<'static>);
// SAFETY: `Watched` may be reached from any thread.
unsafe impl Send for Entry {}

impl Registry {
    const fn new() -> Self {
        Self { launches: Vec::new(), begun: 0, is_running: false, is_asleep: false }
    }

    fn launches(&self) -> impl Iterator<Item = &Watched<'static>> {
        // SAFETY: an entry is removed, under the lock that `self` is behind, before the launch ends.
        self.launches.iter().map(|launch| unsafe { &*launch.0 })
    }
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry::new());
static WAKE: Condvar = Condvar::new();
static WAS_FORKED: AtomicBool = AtomicBool::new(false);

fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the watchdog; false when the system refuses a thread, and the next launch tries again.
fn start() -> bool {
    static FORKS: Once = Once::new();
    thread_local! {
        /// Held through a fork: no thread that the child does not have can hold it then.
        static FORKING: RefCell<Option<MutexGuard<'static, Registry>>> = const { RefCell::new(None) };
    }
    extern "C" fn before() {
        FORKING.set(Some(lock()));
    }
    extern "C" fn in_parent() {
        FORKING.set(None);
    }
    extern "C" fn in_child() {
        WAS_FORKED.store(true, Ordering::Relaxed);
        FORKING.set(None);
    }
    FORKS.call_once(|| around_forks(before, in_parent, in_child));
    std::thread::Builder::new().name("gpsimd-watchdog".into()).spawn(watch_launches).is_ok()
}

fn watch_launches() {
    // Signals are for the program's threads.
    block_signals();
    let mut signal = None;
    let (mut signals, mut begun, mut active) = (InterruptSignal::count(), 0, Instant::now());
    let mut registry = lock();
    loop {
        let now = Instant::now();
        if registry.begun != begun || !registry.launches.is_empty() {
            (begun, active) = (registry.begun, now);
        }
        let may_hang = registry.launches().any(|launch| launch.interrupts.heeds_signal && launch.is_old(now));
        if !may_hang {
            signal = None;
        } else if signal.is_none() {
            signal = InterruptSignal::watch();
        }
        let came = InterruptSignal::count() != signals;
        signals = InterruptSignal::count();
        let stopping = registry.launches().filter(|launch| launch.look(now, came)).count() > 0;
        registry = if now.duration_since(active) < IDLE {
            let interval = if stopping { STOPPING_INTERVAL } else { INTERVAL };
            WAKE.wait_timeout(registry, interval).unwrap_or_else(PoisonError::into_inner).0
        } else {
            registry.is_asleep = true;
            WAKE.wait_while(registry, |registry| registry.is_asleep).unwrap_or_else(PoisonError::into_inner)
        };
    }
}
