//! What the tests of this crate share: golden cases, the digest of a result, messages without line numbers.
//!
//! Depends on no op library: a test binary can hold one alone, since each exports the same entry point.

#[cfg(any(doctest, test))]
mod book;
mod digest;
mod golden;
mod messages;
mod tier;

pub use digest::digest;
pub use golden::GoldenCase;
pub use messages::without_lines;
pub use tier::{cases, library};
