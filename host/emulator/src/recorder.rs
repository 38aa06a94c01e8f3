//! [`Recorder`]: every DMA of a launch with its data, and every buffer of TCM, for whoever looks for a kernel's mistake.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::SourceLocation;
use crate::report::Dma;
use crate::tensor::TensorType;

/// Keeps what the cores of launches do, of an engine that it is given to ([`EngineBuilder::record`]).
///
/// Clones are one recorder. A launch that fails is recorded as far as it came. In checked mode the first of the two runs
/// is recorded, in which TCM that was never written holds [`UNWRITTEN`].
///
/// [`EngineBuilder::record`]: crate::EngineBuilder::record
#[derive(Clone, Debug)]
pub struct Recorder {
    limits: Limits,
    recordings: Arc<Mutex<Vec<Recording>>>,
}

/// What TCM repeats, where nothing was written in the first run of checked mode: every f32, bf16 and i16 of it is this,
/// which no arithmetic makes.
pub const UNWRITTEN: [u8; 2] = [0xa5, 0x7f];

/// How much of a core's part of a launch is kept: what comes after is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    steps: usize,
    data: usize,
}

/// What the cores did in a launch of one phase, in the order of the cores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recording {
    /// The op; of a phase, its own name.
    pub op: String,
    /// Name and type of the launch's tensors, which DMAs name by their index: operands, sizes, scalars, outputs.
    pub tensors: Vec<(String, TensorType)>,
    /// Which of them is the first output; the rest are the others.
    pub first_output: usize,
    /// The cores.
    pub cores: Vec<RecordedCore>,
}

/// What one core did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedCore {
    /// What it did, in its order.
    pub steps: Vec<RecordedStep>,
    /// Steps that came after these.
    pub steps_left_out: u64,
    /// Bytes of DMAs that are among the steps without their data.
    pub data_left_out: u64,
}

/// A DMA, or a change of what is taken of TCM.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedStep {
    /// What it is.
    pub event: Event,
    /// Where the kernel asked for it, where known.
    pub location: Option<Arc<SourceLocation>>,
}

/// What a step is. Offsets are in bytes of the core's TCM pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Data were moved.
    Dma {
        /// Which, from where to where.
        dma: Dma,
        /// The bytes that were moved, unless they are past the recorder's limit.
        data: Option<Box<[u8]>>,
    },
    /// A buffer was taken.
    Alloc {
        /// Its first byte.
        tcm: u64,
        /// Its bytes.
        bytes: u64,
    },
    /// The buffer that starts here was freed.
    Free {
        /// Its first byte.
        tcm: u64,
    },
}

impl Recorder {
    /// One that keeps up to `steps` steps and `data` bytes of each core in a launch.
    pub fn new(steps: usize, data: usize) -> Self {
        Self { limits: Limits { steps, data }, recordings: Arc::default() }
    }

    /// What was recorded since the last call: a launch has a recording for each of its phases that ran.
    pub fn take(&self) -> Vec<Recording> {
        std::mem::take(&mut *self.recordings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn add(&self, recording: Recording) {
        self.recordings.lock().unwrap_or_else(PoisonError::into_inner).push(recording);
    }
}

/// A core that is being recorded.
#[derive(Debug)]
pub(crate) struct CoreRecorder {
    limits: Limits,
    recorded: RecordedCore,
    data: usize,
    locations: Vec<Arc<SourceLocation>>,
}

impl CoreRecorder {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, recorded: RecordedCore::default(), data: 0, locations: Vec::new() }
    }

    /// Adds a DMA that moved `data`.
    pub(crate) fn dma(&mut self, dma: Dma, data: &[u8], location: Option<SourceLocation>) {
        let is_kept = self.recorded.steps.len() < self.limits.steps && self.data + data.len() <= self.limits.data;
        if is_kept {
            self.data += data.len();
        } else {
            // The limit is one of time as well: what follows is without data, however small.
            self.limits.data = self.data;
            self.recorded.data_left_out += data.len() as u64;
        }
        self.step(Event::Dma { dma, data: is_kept.then(|| data.into()) }, location);
    }

    /// Adds anything else.
    pub(crate) fn step(&mut self, event: Event, location: Option<SourceLocation>) {
        if self.recorded.steps.len() == self.limits.steps {
            self.recorded.steps_left_out += 1;
            return;
        }
        let location = location.map(|location| self.shared(location));
        self.recorded.steps.push(RecordedStep { event, location });
    }

    pub(crate) fn finish(self) -> RecordedCore {
        self.recorded
    }

    /// A kernel asks in a few places.
    fn shared(&mut self, location: SourceLocation) -> Arc<SourceLocation> {
        if let Some(known) = self.locations.iter().find(|known| ***known == location) {
            return known.clone();
        }
        let location = Arc::new(location);
        self.locations.push(location.clone());
        location
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Transfer;

    #[test]
    fn what_is_past_the_limits_is_counted() {
        let mut core = CoreRecorder::new(Limits { steps: 3, data: 8 });
        let dma = |bytes| Dma { transfer: Transfer::Load, phase: 0, tensor: 0, start: 0, bytes, tcm: 0 };
        for bytes in [4, 6, 2, 1] {
            core.dma(dma(bytes), &vec![1; bytes as usize], None);
        }
        let recorded = core.finish();
        let kept = |step: &RecordedStep| matches!(&step.event, Event::Dma { data: Some(_), .. });
        assert_eq!(recorded.steps.iter().map(kept).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!((recorded.steps_left_out, recorded.data_left_out), (1, 9));

        let mut core = CoreRecorder::new(Limits { steps: 1, data: 8 });
        for _ in 0..2 {
            core.dma(dma(4), &[1; 4], None);
        }
        let recorded = core.finish();
        assert_eq!((recorded.steps.len(), recorded.steps_left_out, recorded.data_left_out), (1, 1, 4));
    }
}
