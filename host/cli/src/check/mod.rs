//! `cargo gpsimd check`: looks for operands and settings for which an op is wrong.

mod comparison;
mod finding;
mod flush_to_zero;
mod gradient;
mod judge;
mod launcher;
mod random;
mod settings;

pub(crate) use judge::judge_again;
pub(crate) use launcher::Launcher;
use settings::SETTINGS;
