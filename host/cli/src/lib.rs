//! The commands of `cargo gpsimd`, each in a module of its own, for the binary and for `cargo xtask` of the SDK's own
//! repository. What is public is for these two: there is no promise that it stays.

#![allow(rustdoc::invalid_html_tags, reason = "doc comments of commands are their help, which is plain text")]
#![allow(clippy::missing_errors_doc, reason = "an error is a message for the person at the terminal")]
#![warn(clippy::print_stdout, clippy::print_stderr)] // the standard library's macros, which panic: `terminal` has ours

// First, for its macros.
#[macro_use]
pub mod terminal;

mod bring_up;
pub mod build;
mod causes;
pub mod check;
mod cli;
mod compiler;
mod debug;
pub mod doctor;
pub mod empty_values;
pub mod emulated_runtime;
pub mod files;
mod generated;
mod libraries;
pub mod neff;
mod new;
pub mod normal;
pub mod numbers;
pub mod operands;
pub mod process;
pub mod profile;
pub mod python;
pub mod replay;
pub mod sdk_source;
pub mod stamp;
mod status;
pub mod table;
mod test;
pub mod tier;
pub mod workspace;

pub use causes::causes;
pub use cli::Cli;
pub use status::status;
