//! C++ ops written for the vendor's API run on the emulator, and their mistakes are its errors.

#[path = "device_api/builds.rs"]
mod builds;
#[path = "device_api/compute.rs"]
mod compute;
#[path = "device_api/fixtures.rs"]
mod fixtures;
#[path = "device_api/misuse.rs"]
mod misuse;
#[path = "device_api/relu.rs"]
mod relu;
