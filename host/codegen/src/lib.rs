//! From a kernel image to a GPSIMD op package: reads the WebAssembly module of an op library and prints it as C++14.

mod cpp;
mod error;
mod function;
pub mod host_build;
mod hot_loops;
mod image;
mod module;
mod package;

pub use cpp::{Definition, Emitted, Options, PRELUDE, emit};
pub use error::ImageError;
pub use hot_loops::{HotLoop, hot_loops};
pub use image::{Image, MemoryMap, OpFunctions};
pub use module::{Export, Module};
pub use package::{Manifest, ManifestOp, Package, SourceFunction, SourceMap};
