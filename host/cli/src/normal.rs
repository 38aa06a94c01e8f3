//! Operands to measure with.

use gpsimd_emulator::random_bits;

/// Numbers of about the normal distribution, the same for the same seed: sums of four evenly distributed ones.
pub fn normal(seed: u64, len: usize) -> Vec<f32> {
    let of_bits = |bits: u64| {
        let parts = [bits, bits >> 16, bits >> 32, bits >> 48].map(|part| (part & 0xffff) as f32 / 65536.0 - 0.5);
        3_f32.sqrt() * parts.iter().sum::<f32>()
    };
    random_bits(seed).map(of_bits).take(len).collect()
}
