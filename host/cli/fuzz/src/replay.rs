//! Any bytes as a replay file: refused, or read, and what is written of it is read as the same.

use cargo_gpsimd::replay::Replay;

pub fn check(file: &[u8]) -> bool {
    let Ok(replay) = Replay::parse(file) else { return false };
    let written = replay.to_bytes().expect("it was just read");
    let again = Replay::parse(&written).expect("it was just written");
    assert_eq!(again.to_bytes().expect("it was just read"), written);
    true
}
