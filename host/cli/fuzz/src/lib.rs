//! What holds of any bytes, one function a fuzz target, which says whether they were read to the end; and mutations inside of what a reader verifies first.

pub mod mutation;
pub mod replay;
