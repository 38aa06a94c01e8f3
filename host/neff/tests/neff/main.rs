//! NEFF files: emulated ones are written and read, ones like the Neuron compiler's are read, and nothing in a file does
//! harm.

mod any_bytes;
mod device;
mod emulated;
mod extract;
mod fixtures;
mod graphs;
mod hostile;
mod limits;
mod resolve;
mod shown;
