//! Any bytes as a NEFF: refused, or read.

use gpsimd_neff::{Limits, Neff, Summary};

pub fn check(file: &[u8]) {
    let limits = Limits { unpacked_bytes: 16 << 20, json_bytes: 1 << 20, ..Limits::default() };
    if let Ok(neff) = Neff::parse_within(file, &limits) {
        let _ = Summary::of(&neff).to_string();
    }
}
