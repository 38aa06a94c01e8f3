//! The emulator as kernel authors and host programs see it, on kernels written in C against the ABI alone
//! (`tests/fixtures`): every mistake is an error that says what, where and what to do.

mod descriptor;
mod dma;
mod fixtures;
mod loading;
mod modes;
mod operands;
mod outcome;
mod output;
mod overhead;
mod phases;
mod printing;
mod recording;
mod shapes;
mod stopping;
mod tcm;
mod threads;
mod unwritten_tcm;
