//! What the tests of this crate share: golden cases, messages without line numbers, and what `gpsimd-testing` has.
//!
//! Depends on no op library: a test binary can hold one alone, since each exports the same entry point.

#[cfg(any(doctest, test))]
mod book;
mod golden;
mod messages;

pub use golden::GoldenCase;
pub use gpsimd_testing::{cases, digest, library};
pub use messages::without_lines;
