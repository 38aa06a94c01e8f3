//! libnrt, the Neuron Runtime, opened at run time: [`Runtime`] from init to close, [`Model`]s loaded from NEFF bytes,
//! [`NrtTensor`]s and [`TensorSet`]s to execute them on.
//!
//! ```no_run
//! use gpsimd_nrt::{Libnrt, Model, Placement, Runtime, NrtTensor, TensorSet};
//!
//! let runtime = Runtime::init(&Libnrt::open()?)?;
//! let model = Model::load(&runtime, std::fs::read("model.neff")?, None)?;
//! let (mut inputs, mut outputs) = (TensorSet::new(&runtime)?, TensorSet::new(&runtime)?);
//! for info in model.inputs() {
//!     inputs.insert(&info.name, &NrtTensor::for_info(&runtime, Placement::Device(0), info)?)?;
//! }
//! for info in model.outputs() {
//!     outputs.insert(&info.name, &NrtTensor::for_info(&runtime, Placement::Device(0), info)?)?;
//! }
//! inputs.get("x").ok_or("no x")?.write(0, &[1.0f32, 2.0, 3.0])?;
//! model.execute(&inputs, &mut outputs)?;
//! let y: Vec<f32> = outputs.get("y").ok_or("no y")?.read_all()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Whatever is made from a runtime holds it: `nrt_close` runs when the runtime and all of it is dropped, and what a set
//! or a slice refers to is freed after it. Nothing is freed twice, and nothing while it is in use.
//!
//! # Threads
//!
//! Everything here can be sent to and shared between threads. Of the runtime's own rules the documentation states one: a
//! model may be executed by several threads (`nrt_get_model_instance_count` says by how many at best). That calls on
//! different handles may run at the same time is our assumption. Calls on the same memory never do when one of them
//! writes: an execution waits for others that write what it reads, or touch what it writes.

mod bindings;
mod element;
mod error;
mod headers;
mod libnrt;
mod memory;
mod model;
mod runtime;
mod status;
mod tensor;
mod tensor_set;
mod version;

pub use element::Element;
pub use error::{Error, LibnrtError, NrtError};
pub use headers::HEADERS;
pub use libnrt::Libnrt;
pub use model::{Model, TensorInfo};
pub use runtime::Runtime;
pub use status::Status;
pub use tensor::{NrtTensor, Placement};
pub use tensor_set::TensorSet;
pub use version::Version;
