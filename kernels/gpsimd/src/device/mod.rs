//! [`Device`]: what a core can call. On a host and on the isa tier it is the table that the host passes, in a kernel
//! image the imports that the code generator knows.

#[cfg(not(target_arch = "wasm32"))]
mod host;
#[cfg(target_arch = "wasm32")]
mod image;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use host::Device;
#[cfg(target_arch = "wasm32")]
pub(crate) use image::{Device, panicked};
