//! NEFF files: emulated ones are written and read, ones like the Neuron compiler's are read, and nothing in a file does
//! harm.

#[path = "neff/any_bytes.rs"]
mod any_bytes;
#[path = "neff/device.rs"]
mod device;
#[path = "neff/emulated.rs"]
mod emulated;
#[path = "neff/extract.rs"]
mod extract;
#[path = "neff/fixtures.rs"]
mod fixtures;
#[path = "neff/graphs.rs"]
mod graphs;
#[path = "neff/hostile.rs"]
mod hostile;
#[path = "neff/limits.rs"]
mod limits;
#[path = "neff/shown.rs"]
mod shown;
