//! C++ ops written for the vendor's API run on the emulator, and their mistakes are its errors.

#[path = "device_api/builds.rs"]
mod builds;
#[path = "device_api/coherence.rs"]
mod coherence;
#[path = "device_api/compute.rs"]
mod compute;
#[path = "device_api/dtypes.rs"]
mod dtypes;
#[path = "device_api/fixtures.rs"]
mod fixtures;
#[path = "device_api/forms.rs"]
mod forms;
#[path = "device_api/misuse.rs"]
mod misuse;
#[path = "device_api/numbers.rs"]
mod numbers;
#[path = "device_api/relu.rs"]
mod relu;
#[path = "device_api/updates.rs"]
mod updates;
