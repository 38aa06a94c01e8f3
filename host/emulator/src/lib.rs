//! Loads op libraries and runs them on an emulated GPSIMD engine.
//!
//! ```no_run
//! use gpsimd_emulator::{Engine, OpLibrary, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let library = OpLibrary::load("target/release/libbert_ops.so")?;
//! let engine = Engine::builder().build()?;
//! let x = Tensor::from_vec(vec![-1.0_f32, 0.0, 1.0, 2.0], &[2, 2])?;
//! let bias = Tensor::from_vec(vec![0.5_f32, 0.25], &[2])?;
//! let y = engine.call(&library.op("bias_gelu_forward")?, &[x.view(), bias.view()], &[])?;
//! println!("{:?}", y.as_slice::<f32>()?);
//! # Ok(())
//! # }
//! ```
//!
//! An [`OpLibrary`] is a native library (rustc) or an op package (C++) that speaks [`gpsimd_abi`]. An [`Engine`] runs
//! its ops on 8 emulated cores over host threads, in one of two modes: [`Mode::Checked`] verifies every access and
//! reports whatever would be silent corruption on the device, [`Mode::Fast`] is for training.

mod bound_op;
mod checks;
pub mod cost;
mod cpu;
mod device;
mod emulated_core;
mod engine;
mod error;
mod float_environment;
mod guard;
mod interrupt;
mod last_dma;
mod launch;
mod library;
mod loaded;
mod operands;
mod operations;
mod prepared_launch;
mod print;
mod random_bits;
mod recorder;
mod reference;
mod report;
mod scalar;
mod shape;
mod tcm;
mod tensor;
mod tensor_names;
mod watchdog;
mod workers;

pub use gpsimd_abi;
pub use gpsimd_abi::DType;
pub use gpsimd_descriptor;
pub use half::{bf16, f16};

pub use bound_op::BoundOp;
pub use engine::{Engine, EngineBuilder, Mode};
pub use error::{
    ConfigError, HeldBuffers, KernelError, LastDma, LaunchError, LoadError, Misuse, OperandError, SourceLocation,
    TcmProblem, Transfer, UnknownOp,
};
pub use interrupt::InterruptHandle;
pub use launch::Launch;
pub use library::{Op, OpLibrary};
pub use operations::{OperationCounts, Operations};
pub use print::PrintSink;
pub use random_bits::random_bits;
pub use recorder::{Event, RecordedCore, RecordedStep, Recorder, Recording, UNWRITTEN};
pub use reference::F64Tensor;
pub use report::{CoreReport, Dma, LaunchReport, PrintedLine, TraceStep};
pub use scalar::Scalar;
pub use tensor::{Element, Tensor, TensorError, TensorType, TensorView, TensorViewMut};
pub use watchdog::is_stopping;
pub use workers::{ThreadPool, Workers, for_each};
