//! What holds of any bytes, one function a fuzz target; and mutations that keep what a reader verifies first.

pub mod archive;
pub mod mutation;
pub mod neff;
