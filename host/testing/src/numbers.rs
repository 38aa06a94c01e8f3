//! [`numbers`]: operands that nobody chose.

use gpsimd_emulator::random_bits;

/// `len` numbers from -1 to 1, multiples of 2^-23, the same for the same seed.
pub fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let of_bits = |bits: u64| ((bits >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32;
    random_bits(seed).map(of_bits).take(len).collect()
}
