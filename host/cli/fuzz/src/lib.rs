//! What holds of any bytes, one function a fuzz target; and mutations inside of what a reader verifies first.

pub mod mutation;
pub mod replay;
