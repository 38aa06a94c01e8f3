//! [`NeuronCore`]: one emulated NeuronCore, on which one execution runs at a time.

use std::cell::Cell;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::Error;
use crate::log::{self, Level};
use crate::memory::Hbm;

/// How long `nrt_close` waits for an execution that timed out before.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a core runs; it is told how to ask whether anybody still waits for the result.
pub(crate) type Job = Box<dyn FnOnce(&dyn Fn() -> bool) -> Result<(), Error> + Send>;

/// An emulated NeuronCore. It has a thread of its own, so that a caller can stop waiting for it.
#[derive(Debug)]
pub(crate) struct NeuronCore {
    /// Counted over the cores of this process.
    pub(crate) index: usize,
    /// Its device memory.
    pub(crate) hbm: Arc<Hbm>,
    models: AtomicUsize,
    state: Arc<State>,
    /// None after [`stop`](Self::stop).
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the core and its thread share.
#[derive(Debug)]
struct State {
    index: usize,
    doing: Mutex<Doing>,
    changed: Condvar,
    /// Keeps other processes off the core.
    lock: Mutex<Option<File>>,
}

#[derive(Debug)]
enum Doing {
    /// Nothing.
    Nothing,
    /// A caller has the core and prepares.
    Taken,
    /// An execution runs, and its caller waits.
    Running,
    /// It is done, and its caller is about to see how.
    Done(Result<(), Error>),
    /// An execution runs whose caller has given up.
    Abandoned,
}

/// The right to a core: other executions wait until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    core: &'a NeuronCore,
    /// Not after a timeout: then the core is nobody's until the job ends, and may be another's when this is dropped.
    is_held: Cell<bool>,
}

impl NeuronCore {
    /// The core with this index, the lock that reserves it, and as many bytes of device memory.
    pub(crate) fn start(index: usize, lock: File, hbm_bytes: u64) -> Result<Arc<Self>, Error> {
        let (jobs, waiting) = mpsc::channel();
        let state = Arc::new(State {
            index,
            doing: Mutex::new(Doing::Nothing),
            changed: Condvar::new(),
            lock: Mutex::new(Some(lock)),
        });
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name(format!("neuron-core-{index}"));
        let thread = thread.spawn(move || work(&shared, &waiting)).map_err(Error::Thread)?;
        Ok(Arc::new(Self {
            index,
            hbm: Hbm::new(index, hbm_bytes),
            models: AtomicUsize::new(0),
            state,
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Models on it.
    pub(crate) fn models(&self) -> usize {
        self.models.load(Ordering::Relaxed)
    }

    /// Waits until no other caller has the core.
    pub(crate) fn turn(&self) -> Result<Turn<'_>, Error> {
        let others = |doing: &mut Doing| matches!(doing, Doing::Taken | Doing::Running | Doing::Done(_));
        let mut doing =
            self.state.changed.wait_while(self.state.lock(), others).unwrap_or_else(PoisonError::into_inner);
        if matches!(*doing, Doing::Abandoned) {
            return Err(Error::CoreBusy { core: self.index });
        }
        *doing = Doing::Taken;
        drop(doing);
        Ok(Turn { core: self, is_held: Cell::new(true) })
    }

    /// Takes no more executions, waits for the one that runs, and releases the core for other processes.
    pub(crate) fn stop(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let callers = |doing: &mut Doing| !matches!(doing, Doing::Nothing | Doing::Abandoned);
        let doing = self.state.changed.wait_while(self.state.lock(), callers).unwrap_or_else(PoisonError::into_inner);
        let abandoned = |doing: &mut Doing| matches!(doing, Doing::Abandoned);
        let waited = self.state.changed.wait_timeout_while(doing, PATIENCE, abandoned);
        let (doing, result) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(doing);
        if result.timed_out() {
            let message = format!("an execution that timed out still runs and keeps NeuronCore {} busy", self.index);
            log::line(Level::Warn, "nrt_close", message);
            return;
        }
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It catches every panic.
            let _ = thread.join();
        }
        self.state.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Turn<'_> {
    /// Runs a job and waits for it, at most for `timeout`. After a timeout the core is busy until the job ends.
    pub(crate) fn run(&self, job: Job, timeout: Option<Duration>) -> Result<(), Error> {
        let core = self.core;
        *core.state.lock() = Doing::Running;
        let sent = core.jobs.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|jobs| jobs.send(job).is_ok());
        if sent != Some(true) {
            *core.state.lock() = Doing::Taken;
            return Err(Error::Closed);
        }
        let runs = |doing: &mut Doing| matches!(doing, Doing::Running);
        // As good as none: it has no end that anybody waits for.
        let limit = timeout.unwrap_or(Duration::MAX);
        let waited = core.state.changed.wait_timeout_while(core.state.lock(), limit, runs);
        let (mut doing, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Doing::Done(result) = std::mem::replace(&mut *doing, Doing::Taken) {
            return result;
        }
        *doing = Doing::Abandoned;
        self.is_held.set(false);
        drop(doing);
        // Those that wait for their turn learn that it does not come.
        core.state.changed.notify_all();
        Err(Error::Timeout { seconds: limit.as_secs(), core: core.index })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.is_held.get() {
            *self.core.state.lock() = Doing::Nothing;
            self.core.state.changed.notify_all();
        }
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_abandoned(&self) -> bool {
        matches!(*self.lock(), Doing::Abandoned)
    }
}

/// The thread of a core: runs jobs until nobody can send any more.
fn work(state: &State, jobs: &Receiver<Job>) {
    for job in jobs {
        // The job and what it holds are gone before its caller learns of the end.
        let result = catch_unwind(AssertUnwindSafe(|| job(&|| state.is_abandoned())))
            .unwrap_or_else(|panic| Err(Error::Panicked(panic_message(&*panic))));
        let mut doing = state.lock();
        *doing = match *doing {
            Doing::Abandoned => {
                let message = format!("the execution that timed out on NeuronCore {} has ended", state.index);
                log::line(Level::Info, "nrt_execute", message);
                Doing::Nothing
            }
            _ => Doing::Done(result),
        };
        drop(doing);
        state.changed.notify_all();
    }
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

/// A model's place on a core.
#[derive(Debug)]
pub(crate) struct ModelSlot(Arc<NeuronCore>);

impl ModelSlot {
    /// A place on `core`.
    pub(crate) fn new(core: &Arc<NeuronCore>) -> Self {
        core.models.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(core))
    }

    /// The core.
    pub(crate) fn core(&self) -> &NeuronCore {
        &self.0
    }
}

impl Drop for ModelSlot {
    fn drop(&mut self) {
        self.0.models.fetch_sub(1, Ordering::Relaxed);
    }
}
