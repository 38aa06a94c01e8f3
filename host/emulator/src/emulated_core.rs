//! [`EmulatedCore`]: one core during a run of a launch, and how its part ended.

use std::ops::Range;
use std::ptr::NonNull;

use gpsimd_abi::{self as abi, Location, STATUS_FAILED, STATUS_OK};

use crate::checks::{Accesses, Stored, inside};
use crate::device;
use crate::error::{KernelError, LastDma, Misuse, SourceLocation, Transfer};
use crate::float_environment::FloatEnvironment;
use crate::guard::{Code, Ended, Guard, Reason, STACK_BYTES};
use crate::last_dma::{Last, Place};
use crate::operations::Operations;
use crate::prepared_launch::PreparedLaunch;
use crate::print::Printer;
use crate::recorder::{CoreRecorder, Event, RecordedCore};
use crate::report::{CoreReport, Dma, PrintedLine, TraceStep};
use crate::tcm::{Pool, TcmMemory};
use crate::tensor_names::with_names;
use crate::watchdog::Watched;

/// How one core's part of a run ended.
#[derive(Debug)]
pub(crate) struct CoreOutcome {
    pub(crate) error: Option<KernelError>,
    /// Whether the launch was still to go on when it was this core's turn.
    pub(crate) has_run: bool,
    pub(crate) report: CoreReport,
    pub(crate) printed: Vec<PrintedLine>,
    /// Of each output; in fast mode empty of those that are not in place.
    pub(crate) accesses: Vec<Accesses>,
    /// Of each output; empty in checked mode.
    pub(crate) stored: Vec<Stored>,
    /// Empty unless the engine traces.
    pub(crate) trace: Vec<TraceStep>,
    /// Empty unless the engine records.
    pub(crate) recorded: RecordedCore,
}

/// One core during a run.
pub(crate) struct EmulatedCore<'r, 'm> {
    pub(crate) launch: &'r PreparedLaunch<'r>,
    pub(crate) guard: &'r Guard<'r>,
    pub(crate) id: u32,
    pub(crate) pool: Pool<'m>,
    pub(crate) report: CoreReport,
    pub(crate) printer: Printer,
    /// The first misuse of the table.
    pub(crate) misuse: Option<Found>,
    /// The last allocation that the pool could not serve. An error only if the kernel fails for it.
    pub(crate) exhausted: Option<Found>,
    /// The first failure that the kernel reported.
    pub(crate) failure: Option<Failure>,
    /// The first elements that the kernel dropped. An error only if there is no other.
    pub(crate) dropped: Option<Failure>,
    /// Of each output, and of the operand that it replaces.
    pub(crate) accesses: Vec<Accesses>,
    /// Of each output.
    pub(crate) stored: Vec<Stored>,
    last: Option<Last>,
    trace: Vec<TraceStep>,
    recorder: Option<Box<CoreRecorder>>,
    /// Where the library counts, if it does; on this thread until the kernel returns.
    operations: Option<NonNull<Operations>>,
    /// What was counted at the last step of the trace.
    traced: Operations,
}

pub(crate) type Found = (Misuse, Option<SourceLocation>);

pub(crate) struct Failure {
    pub(crate) code: u32,
    pub(crate) message: String,
    pub(crate) location: Option<SourceLocation>,
}

impl EmulatedCore<'_, '_> {
    /// Runs core `id`'s part of a run on this thread, to whichever end. Of a launch that is being stopped nothing runs.
    pub(crate) fn run(
        launch: &PreparedLaunch<'_>,
        watched: &Watched<'_>,
        id: u32,
        memory: &mut TcmMemory,
    ) -> CoreOutcome {
        let mut top = 0;
        let guard = Guard::new(&watched.stop, launch.op.code());
        let mut core = EmulatedCore {
            launch,
            guard: &guard,
            id,
            pool: Pool::new(memory, &mut top, launch.poison),
            report: CoreReport::default(),
            printer: Printer::new(id),
            misuse: None,
            exhausted: None,
            failure: None,
            dropped: None,
            accesses: (0..launch.outputs()).map(|_| Accesses::default()).collect(),
            stored: (0..launch.outputs()).map(|_| Stored::default()).collect(),
            last: None,
            trace: Vec::new(),
            recorder: launch.recorder.as_ref().map(|recorder| Box::new(CoreRecorder::new(recorder.limits()))),
            operations: launch.op.operations_here(),
            traced: Operations::default(),
        };
        if let Some(operations) = core.operations {
            // SAFETY: the library's counters of this thread, which nothing else reaches before the kernel runs.
            unsafe { operations.write(Operations::default()) };
        }
        let device = device::table(&mut core);
        let environment = FloatEnvironment::of_a_core();
        let ended = watched.on_this_thread(id, || {
            if watched.stop.get().is_some() {
                return Ended::NotStarted;
            }
            // SAFETY: the function of a verified library, given a table that outlives the call. `core` is reached
            // through the table alone until it ends, and a kernel leaves nothing that has to be done.
            unsafe { guard.call(|| (launch.op.entry().functions.run)(&raw const device)) }
        });
        drop(environment);
        core.finish(ended, watched)
    }

    /// Takes note of a DMA before anything comes of it.
    ///
    /// # Safety
    /// `location` is null, or leads to a location whose text is readable.
    pub(crate) unsafe fn begin_dma(
        &mut self,
        transfer: Transfer,
        tensor: u32,
        start: u64,
        len: u64,
        location: *const Location,
    ) {
        // SAFETY: the caller's promise.
        let place = unsafe { Place::of(location, self.launch.op.code()) };
        self.last = Some(Last { transfer, tensor, start, len, place });
    }

    /// What the core has computed so far.
    fn computed(&self) -> Operations {
        // SAFETY: the library's counters of this thread; the kernel waits for this call, or has returned.
        self.operations.map(|operations| unsafe { operations.read() }).unwrap_or_default()
    }

    /// Adds a DMA of `bytes` to or from `tcm` to the trace.
    pub(crate) fn trace_dma(&mut self, transfer: Transfer, tensor: u32, start: u64, bytes: usize, tcm: *const u8) {
        self.trace(Some(self.dma(transfer, tensor, start, bytes, tcm)));
    }

    fn dma(&self, transfer: Transfer, tensor: u32, start: u64, bytes: usize, tcm: *const u8) -> Dma {
        Dma { transfer, phase: 0, tensor, start, bytes: bytes as u64, tcm: self.tcm_offset(tcm) }
    }

    fn tcm_offset(&self, tcm: *const u8) -> u64 {
        // A DMA of nothing may be to nowhere.
        tcm.addr().saturating_sub(self.pool.start().addr()) as u64
    }

    /// Records a DMA of `bytes` to or from `tcm`, which holds what was moved.
    ///
    /// # Safety
    /// The DMA is a verified one, or of nothing; `location` is null, or leads to a location whose text is readable.
    pub(crate) unsafe fn record_dma(
        &mut self,
        transfer: Transfer,
        tensor: u32,
        start: u64,
        bytes: usize,
        tcm: *const u8,
        location: *const Location,
    ) {
        let dma = self.dma(transfer, tensor, start, bytes, tcm);
        let Some(recorder) = &mut self.recorder else { return };
        // SAFETY: `bytes` bytes of the pool, which nothing writes now; the caller's promise.
        let (data, location) = unsafe {
            let data = if bytes == 0 { &[] } else { std::slice::from_raw_parts(tcm, bytes) };
            (data, SourceLocation::read(location))
        };
        recorder.dma(dma, data, location);
    }

    /// Records that `bytes` bytes of TCM were taken at `tcm`, or, without a number, that they were freed.
    ///
    /// # Safety
    /// `location` is null, or leads to a location whose text is readable.
    pub(crate) unsafe fn record_tcm(&mut self, tcm: *const u8, bytes: Option<u32>, location: *const Location) {
        let tcm = self.tcm_offset(tcm);
        let Some(recorder) = &mut self.recorder else { return };
        let event = bytes.map_or(Event::Free { tcm }, |bytes| Event::Alloc { tcm, bytes: bytes.into() });
        // SAFETY: the caller's promise.
        recorder.step(event, unsafe { SourceLocation::read(location) });
    }

    /// Adds to the trace what was computed since the last step, and what ended that.
    fn trace(&mut self, dma: Option<Dma>) {
        if self.launch.traces {
            let computed = self.computed();
            self.trace.push(TraceStep { operations: computed - self.traced, dma });
            self.traced = computed;
        }
    }

    /// Claims elements of output `output` for this core, in fast mode.
    pub(crate) fn claim(&self, output: usize, range: &Range<u64>) -> Result<(), Misuse> {
        self.launch.claims[output].claim(self.id as usize, range).map_err(|(range, other)| Misuse::WriteConflict {
            tensor: self.launch.output_name(output),
            range,
            other,
            other_location: None,
        })
    }

    fn finish(mut self, ended: Ended, watched: &Watched<'_>) -> CoreOutcome {
        self.trace(None);
        self.report.operations = self.computed();
        let stopped = self.stopped(ended, watched);
        let Self {
            launch,
            id,
            pool,
            mut report,
            printer,
            misuse,
            exhausted,
            failure,
            dropped,
            accesses,
            stored,
            trace,
            recorder,
            ..
        } = self;
        let found = match ended {
            Ended::Returned(status) if stopped.is_none() => {
                verdict(launch, &pool, status, misuse, exhausted, failure).or_else(|| lost(launch, dropped))
            }
            _ => stopped,
        };
        report.tcm_high_water = pool.high_water();
        CoreOutcome {
            has_run: ended != Ended::NotStarted,
            error: found.map(|(misuse, location)| launch.error(Some(id), misuse, location)),
            report,
            printed: printer.finish(),
            accesses,
            stored,
            trace,
            recorded: recorder.map(|recorder| recorder.finish()).unwrap_or_default(),
        }
    }

    /// What is wrong with a kernel that did not return by itself.
    fn stopped(&self, ended: Ended, watched: &Watched<'_>) -> Option<Found> {
        let launch = self.launch;
        if matches!(ended, Ended::Stopped | Ended::StackOverflow) {
            launch.op.forget_kernel(launch);
        }
        let (last, location) = match &self.last {
            Some(last) => last.describe(launch),
            None => (if launch.is_direct() { LastDma::Unknown } else { LastDma::None }, None),
        };
        let misuse = match ended {
            Ended::NotStarted | Ended::Returned(STATUS_OK) => return None,
            Ended::StackOverflow => Misuse::StackOverflow { stack: STACK_BYTES, last },
            // Code of the host returns, with device calls that failed.
            Ended::Returned(_) if matches!(launch.op.code(), Code::Library(_)) => return None,
            Ended::Returned(_) | Ended::Stopped => match watched.stop.get()? {
                Reason::TimeLimit => Misuse::TimeLimit { limit: watched.limit.unwrap_or_default(), last },
                Reason::Interrupt => Misuse::Interrupted { last },
            },
        };
        Some((misuse, location))
    }

    /// The first misuse is the cause of those after it.
    ///
    /// # Safety
    /// `location` is null, or leads to a location whose text is readable.
    pub(crate) unsafe fn misused(&mut self, misuse: Misuse, location: *const Location) -> u32 {
        if self.misuse.is_none() {
            // SAFETY: the caller's promise.
            self.misuse = Some((misuse, unsafe { SourceLocation::read(location) }));
        }
        STATUS_FAILED
    }

    /// Elements of a tensor, if it has them.
    fn range(&self, tensor: u32, transfer: Transfer, start: u64, len: u64) -> Result<Range<u64>, Misuse> {
        let (launch, index) = (self.launch, tensor as usize);
        let Some(found) = launch.tensors.get(index) else {
            return Err(Misuse::NoSuchTensor { transfer, index: tensor, tensors: launch.tensors.len() as u32 });
        };
        inside(start, len, found.len).ok_or_else(|| {
            let (tensor, tensor_len) = (launch.name(index), found.len);
            Misuse::OutsideTensor { transfer, tensor, start, len, tensor_len }
        })
    }

    /// Elements of an output, and which it is.
    pub(crate) fn output_range(&self, tensor: u32, start: u64, len: u64) -> Result<(usize, Range<u64>), Misuse> {
        let range = self.range(tensor, Transfer::Store, start, len)?;
        if let Some(output) = self.launch.output_of(tensor as usize) {
            return Ok((output, range));
        }
        let (tensor, output) = (self.launch.name(tensor as usize), self.launch.output_name(0));
        Err(Misuse::StoreToOperand { tensor, range, output })
    }

    /// The range of a DMA and its size in bytes, if it is allowed.
    pub(crate) fn verify(
        &self,
        transfer: Transfer,
        tensor: u32,
        start: u64,
        len: u64,
        tcm: *const u8,
    ) -> Result<(Range<u64>, usize), Misuse> {
        let (launch, index) = (self.launch, tensor as usize);
        let range = match transfer {
            Transfer::Load => self.range(tensor, transfer, start, len)?,
            Transfer::Store => self.output_range(tensor, start, len)?.1,
        };
        if transfer == Transfer::Load && launch.output_of(index).is_some() {
            return Err(Misuse::LoadFromOutput { tensor: launch.name(index), range });
        }
        let element_bytes = launch.element_bytes(index);
        // Fits: the range is inside a tensor.
        let bytes = len * element_bytes as u64;
        self.pool.verify(tcm, bytes, element_bytes).map_err(|problem| Misuse::BadTcm {
            transfer,
            tensor: launch.name(index),
            range: range.clone(),
            problem,
        })?;
        Ok((range, bytes as usize))
    }
}

/// Elements that a core dropped although nothing else was wrong.
fn lost(launch: &PreparedLaunch<'_>, dropped: Option<Failure>) -> Option<Found> {
    let Failure { message, location, .. } = dropped?;
    Some((Misuse::Dropped { tensor: launch.output_names(), message }, location))
}

/// What is wrong with a core that returned `status`, if anything.
fn verdict(
    launch: &PreparedLaunch<'_>,
    pool: &Pool<'_>,
    status: u32,
    misuse: Option<Found>,
    exhausted: Option<Found>,
    failure: Option<Failure>,
) -> Option<Found> {
    if let Some((misuse, location)) = misuse {
        // `tcm_free` returns no status: only a DMA can be swallowed.
        let is_free = matches!(misuse, Misuse::FreeOutOfOrder { .. } | Misuse::FreeOfNothing { .. });
        let swallowed = status == STATUS_OK && !is_free;
        let misuse = if swallowed { Misuse::Swallowed { failed: Box::new(misuse) } } else { misuse };
        return Some((misuse, location));
    }
    if let Some(Failure { code, message, location }) = failure {
        let misuse = match code {
            abi::FAILURE_REFUSED => {
                let name = |index| (index < launch.tensors.len()).then(|| launch.name(index));
                Misuse::Refused { message: with_names(&message, name) }
            }
            abi::FAILURE_PANIC => Misuse::Panicked { message },
            // SAFETY: places in the source of a library are text of the library, which is loaded.
            abi::FAILURE_LEAKED => Misuse::TcmLeaked { bytes: pool.taken(), held: unsafe { pool.held() } },
            abi::FAILURE_DTYPE => Misuse::NoVersion { dtype: launch.generic_dtype() },
            // The host has seen the error of a device call, and it was not a DMA.
            abi::FAILURE_DEVICE => return exhausted.or(Some((Misuse::FailedSilently, location))),
            code => Misuse::UnknownFailure { code, message },
        };
        return Some((misuse, location));
    }
    match status {
        STATUS_OK => None,
        STATUS_FAILED => exhausted.or(Some((Misuse::FailedSilently, None))),
        status => Some((Misuse::UnknownStatus { status }, None)),
    }
}
