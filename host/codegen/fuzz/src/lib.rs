//! What holds of any bytes, one function a fuzz target, which says whether they were read to the end.

pub mod descriptor;
pub mod image;
pub mod module;
#[path = "../../tests/wasm/smith.rs"]
#[allow(dead_code)]
mod smith;
