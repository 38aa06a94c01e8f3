//! The bridge to a Trn1 or Inf2 host: [`sdk`] finds the Neuron SDK and builds op packages with it, [`neff`] reads and writes
//! NEFF files, [`nrt`] runs them through libnrt.
//!
//! Nothing of this has run on a Trainium: it is written from the documented interfaces. What the Neuron Runtime does is
//! tested against the emulated `libnrt.so.1` of `host/neuron/emulated`, which has the same C interface.

mod dtype;
pub mod neff;
pub mod nrt;
pub mod sdk;

pub use dtype::Dtype;
