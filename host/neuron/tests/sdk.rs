//! The Neuron SDK, on hosts that the tests make up: what is found, what is missing, and what a build says.

#[path = "sdk/build.rs"]
mod build;
#[path = "sdk/host.rs"]
mod host;
#[path = "sdk/library.rs"]
mod library;
#[path = "sdk/locate.rs"]
mod locate;
