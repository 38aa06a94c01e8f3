//! The Neuron SDK, on hosts that the tests fake: what is found, what is missing, and what a build says.

mod build;
mod device_library;
mod host;
mod locate;
