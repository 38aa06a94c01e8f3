//! What becomes of a panic of a kernel. A kernel image has a panic handler, which stops the core; elsewhere it is an
//! error of the launch.

#[cfg(not(target_arch = "xtensa"))]
mod caught;
#[cfg(target_arch = "xtensa")]
mod isa;

#[cfg(not(target_arch = "xtensa"))]
pub(crate) use caught::catch;
#[cfg(target_arch = "xtensa")]
pub(crate) use isa::catch;
