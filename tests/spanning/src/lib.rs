//! What the tests of this crate share: golden cases, messages without line numbers, and what `gpsimd-testing` has.
//!
//! Depends on no op library: a test binary can hold one alone, since each exports the same entry point.

#[cfg(any(doctest, test))]
mod book;
mod golden;
mod measured;
mod messages;

pub use golden::{GoldenCase, GoldenResult};
pub use gpsimd_testing::{cases, digest, library};
pub use measured::{Kind, Measured, Promise};
pub use messages::without_lines;
