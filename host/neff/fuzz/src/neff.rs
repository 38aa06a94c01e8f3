//! Any bytes as a NEFF: refused, or read.

use gpsimd_neff::{Limits, Neff, Summary};

pub fn check(file: &[u8]) -> bool {
    let limits = Limits { unpacked_bytes: 16 << 20, json_bytes: 1 << 20, ..Limits::default() };
    let Ok(neff) = Neff::parse_within(file, &limits) else { return false };
    !Summary::of(&neff).to_string().is_empty()
}
