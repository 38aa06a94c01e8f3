//! The program that a core of the isa tier runs: the op library's table of ops, and a device table whose calls go to
//! the host over standard input and output.
//!
//! To the library the runner is a host like any other: it asks the library's entry point for the ops and calls them
//! with a [`gpsimd_abi::DeviceTable`]. To the emulator the program is one core: [`protocol`] says what they tell each
//! other. It has no standard library; what it asks of Linux are five system calls, which QEMU's user mode answers.
//!
//! For any other target only [`protocol`] is here.
#![no_std]
#![cfg_attr(target_arch = "xtensa", feature(asm_experimental_arch))]

pub mod protocol;

#[cfg(target_arch = "xtensa")]
mod device;
#[cfg(target_arch = "xtensa")]
mod linux;
#[cfg(target_arch = "xtensa")]
mod panics;
#[cfg(target_arch = "xtensa")]
mod serve;
#[cfg(target_arch = "xtensa")]
mod stack;
#[cfg(target_arch = "xtensa")]
mod wire;
