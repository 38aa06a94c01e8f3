//! What holds of any bytes, one function a fuzz target.

pub mod descriptor;
pub mod image;
pub mod module;
#[path = "../../tests/wasm/smith.rs"]
#[allow(dead_code)]
mod smith;
