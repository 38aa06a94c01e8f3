//! [`Ops`]: an op library under test.

use gpsimd_emulator::gpsimd_abi::LibraryTable;
use gpsimd_emulator::{Engine, LaunchError, Mode, OpLibrary, Scalar, Tensor, TensorView};

use crate::{digest, tier};

/// The ops of a library on the tier under test, and an engine for each mode.
#[derive(Debug)]
pub struct Ops {
    library: OpLibrary,
    checked: Engine,
    fast: Engine,
}

impl Ops {
    /// The ops of the library that `op_library!` made.
    ///
    /// # Panics
    /// When the library does not load.
    pub fn of(native: &'static LibraryTable) -> Self {
        Self::with(tier::library(native))
    }

    /// The ops of a library on the native tier, whichever is under test: to compare with.
    ///
    /// # Panics
    /// When the library does not load.
    pub fn native(native: &'static LibraryTable) -> Self {
        Self::with(tier::native(native))
    }

    fn with(library: OpLibrary) -> Self {
        let engine = |mode| Engine::builder().mode(mode).build().unwrap_or_else(|error| panic!("{error}"));
        Self { library, checked: engine(Mode::Checked), fast: engine(Mode::Fast) }
    }

    /// The library on the tier under test.
    pub fn library(&self) -> &OpLibrary {
        &self.library
    }

    /// Runs an op of one output in checked mode, which finds what would go wrong silently on the device, and in fast mode,
    /// and returns the result. Scalars and sizes are in the order of the kernel's parameters, each of its type:
    /// `&[0.5.into(), 8_usize.into()]`.
    ///
    /// # Panics
    /// When a launch fails, with the emulator's message, and when the modes differ in a bit.
    #[track_caller]
    pub fn run(&self, op: &str, tensors: &[&Tensor], scalars: &[Scalar]) -> Tensor {
        let [output] = self.run_all(op, tensors, scalars);
        output
    }

    /// As [`run`](Self::run), of an op of several outputs: `let [values, indices] = ops.run_all(..)`.
    ///
    /// # Panics
    /// As [`run`](Self::run), and when the op has another number of outputs.
    #[track_caller]
    pub fn run_all<const N: usize>(&self, op: &str, tensors: &[&Tensor], scalars: &[Scalar]) -> [Tensor; N] {
        let checked = self.launch(&self.checked, op, tensors, scalars).unwrap_or_else(|error| panic!("{error}"));
        let fast = self.launch(&self.fast, op, tensors, scalars).unwrap_or_else(|error| panic!("{error}"));
        let same = checked.iter().map(digest).eq(fast.iter().map(digest));
        assert!(same, "op `{op}` has other bits in fast mode than in checked mode");
        let found = checked.len();
        checked.try_into().unwrap_or_else(|_| panic!("op `{op}` has {found} outputs, expected {N} here"))
    }

    /// As [`run_all`](Self::run_all), and again on engines of 1 to 8 cores with TCM pools of other sizes, in either mode.
    ///
    /// # Panics
    /// As [`run_all`](Self::run_all), and when one of them computes another bit.
    #[track_caller]
    pub fn run_everywhere<const N: usize>(&self, op: &str, tensors: &[&Tensor], scalars: &[Scalar]) -> [Tensor; N] {
        let expected = self.run_all::<N>(op, tensors, scalars);
        let most = tier::cases(24) as usize;
        let engines = (1..=8).flat_map(|cores| [64, 4, 7].map(|kib| (cores, kib * 1024)));
        // With few cases, engines far apart.
        for (i, (cores, tcm_bytes)) in engines.enumerate().filter(|(i, _)| most == 24 || i % 11 == 1) {
            let mode = if i % 2 == 0 { Mode::Fast } else { Mode::Checked };
            let engine = Engine::builder().cores(cores).tcm_bytes(tcm_bytes).mode(mode).build();
            let engine = engine.unwrap_or_else(|error| panic!("{error}"));
            let found = self.launch(&engine, op, tensors, scalars).unwrap_or_else(|error| panic!("{error}"));
            let is_same = found.iter().map(digest).eq(expected.iter().map(digest));
            assert!(is_same, "op `{op}` has other bits on {cores} cores with {tcm_bytes} bytes of TCM, {mode:?}");
        }
        expected
    }

    /// Runs an op in checked mode and returns its outputs.
    ///
    /// # Errors
    /// What is wrong with the operands, or with the kernel.
    ///
    /// # Panics
    /// When the library has no such op.
    #[track_caller]
    pub fn try_run(&self, op: &str, tensors: &[&Tensor], scalars: &[Scalar]) -> Result<Vec<Tensor>, LaunchError> {
        self.launch(&self.checked, op, tensors, scalars)
    }

    #[track_caller]
    fn launch(
        &self,
        engine: &Engine,
        op: &str,
        tensors: &[&Tensor],
        scalars: &[Scalar],
    ) -> Result<Vec<Tensor>, LaunchError> {
        let op = self.library.op(op).unwrap_or_else(|error| panic!("{error}"));
        let views: Vec<TensorView<'_>> = tensors.iter().map(|tensor| tensor.view()).collect();
        engine.call_all(&op, &views, scalars)
    }
}
