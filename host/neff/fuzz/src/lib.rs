//! What holds of any bytes, one function a fuzz target, which says whether they were read to the end; and mutations that keep what a reader verifies first.

pub mod archive;
pub mod mutation;
pub mod neff;
