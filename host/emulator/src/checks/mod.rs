//! Checked mode: what is recorded while the cores run, and what follows from it when all have ended.

mod accesses;
mod claims;
mod findings;
mod ranges;
mod reruns;

pub(crate) use accesses::{Accesses, Stored};
pub(crate) use claims::Claims;
pub(crate) use findings::judge;
pub(crate) use ranges::{RangeSet, inside};
pub(crate) use reruns::{RunResult, compare, compare_behaviour};
