//! The emulated runtime as C programs see it: every program is compiled against the header, linked to the library, and runs
//! one of its cases in a process of its own.
#![cfg(target_os = "linux")]

mod cases;
mod documented;
mod fixtures;
mod log;
mod neffs;
mod processes;
