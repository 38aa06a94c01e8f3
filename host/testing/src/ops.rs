//! [`Ops`]: an op library under test.

use gpsimd_emulator::gpsimd_abi::LibraryTable;
use gpsimd_emulator::{Engine, LaunchError, Mode, OpLibrary, Tensor, TensorView};

use crate::tier;

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
        let engine = |mode| Engine::builder().mode(mode).build().unwrap_or_else(|error| panic!("{error}"));
        Self { library: tier::library(native), checked: engine(Mode::Checked), fast: engine(Mode::Fast) }
    }

    /// The library on the tier under test.
    pub fn library(&self) -> &OpLibrary {
        &self.library
    }

    /// Runs an op in checked mode, which finds what would go wrong silently on the device, and in fast mode, and returns the
    /// result.
    ///
    /// # Panics
    /// When a launch fails, with the emulator's message, and when the modes differ in a bit.
    #[track_caller]
    pub fn run(&self, op: &str, tensors: &[&Tensor], scalars: &[f32]) -> Tensor {
        let checked = self.try_run(op, tensors, scalars).unwrap_or_else(|error| panic!("{error}"));
        let fast = self.launch(&self.fast, op, tensors, scalars).unwrap_or_else(|error| panic!("{error}"));
        assert!(checked.bytes() == fast.bytes(), "op `{op}` has other bits in fast mode than in checked mode");
        checked
    }

    /// Runs an op in checked mode.
    ///
    /// # Errors
    /// What is wrong with the operands, or with the kernel.
    ///
    /// # Panics
    /// When the library has no such op.
    #[track_caller]
    pub fn try_run(&self, op: &str, tensors: &[&Tensor], scalars: &[f32]) -> Result<Tensor, LaunchError> {
        self.launch(&self.checked, op, tensors, scalars)
    }

    #[track_caller]
    fn launch(&self, engine: &Engine, op: &str, tensors: &[&Tensor], scalars: &[f32]) -> Result<Tensor, LaunchError> {
        let op = self.library.op(op).unwrap_or_else(|error| panic!("{error}"));
        let views: Vec<TensorView<'_>> = tensors.iter().map(|tensor| tensor.view()).collect();
        engine.call(&op, &views, scalars)
    }
}
