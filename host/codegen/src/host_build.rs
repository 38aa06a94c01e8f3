//! Builds C++ ops, generated or written by hand, into a library that the emulator loads.
//!
//! The device API that ops are written for (`torch/torch.h`, `neuron/neuron-utils.hpp`, `torchneuron/register.h`) is ours
//! here, on top of the emulator's table of device calls; its headers are part of this crate. A build compiles the
//! sources and an adapter, which is written for the library and answers the C entry point, and links them.
//!
//! - [`build_package`]: a generated op package. Its descriptor is known; shape functions are compiled against our
//!   headers, in a second.
//! - [`build_cpp`]: ops written by hand for the vendor's API. Shape functions are compiled against `PyTorch`'s own headers,
//!   and which ops there are is asked of what they register.

mod adapter;
mod compiler;
mod cpp;
mod cpp_stamp;
mod error;
mod headers;
mod kernel;
mod package;
mod workspace;

pub(crate) use compiler::ARITHMETIC_FLAGS;
pub use compiler::{Compiler, Optimisation};
pub use cpp::{CppBuild, TorchFolder, build_cpp};
pub use cpp_stamp::{CppLibrary, update_cpp};
pub use error::HostBuildError;
pub use headers::{HEADERS, headers_digest, write_headers};
pub use package::{PackageBuild, build_package, remarks};
