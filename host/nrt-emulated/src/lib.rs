//! An emulated `libnrt.so.1`: the documented C interface of the Neuron Runtime over the GPSIMD emulator, so that a program
//! written for a Trn1 or Inf2 host links and runs on any Linux host.
//!
//! It is not a Neuron Runtime, and `nrt_get_version`, every line of its log and the symbol `gpsimd_emulated_libnrt` say so. It
//! loads only emulated NEFFs: the header and archive of a NEFF around a graph of op calls and native op libraries.
//! `docs/src/reference/emulated-runtime.md` lists every status with its case.
//!
//! [`c`] holds the functions of the header; behind them stand the [`runtime`] of the process, its [`neuron_core`]s, the
//! [`model`]s loaded on them and the [`tensor`]s. Where the vendor's documentation is silent, a comment says "our
//! assumption".

mod block;
mod c;
mod cores;
mod error;
mod execution;
mod handles;
mod libraries;
mod log;
mod memory;
mod model;
mod neuron_core;
mod program;
mod recording;
mod runtime;
mod settings;
mod status;
mod tensor;
