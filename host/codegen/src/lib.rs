//! From a kernel image to a GPSIMD op package: reads the WebAssembly module of an op library and prints it as C++14.

pub mod host_build;
