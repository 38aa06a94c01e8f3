//! Numbers to measure with.

/// Numbers of about the normal distribution, the same for the same seed: sums of four evenly distributed ones.
pub fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let parts = [z, z >> 16, z >> 32, z >> 48].map(|part| (part & 0xffff) as f32 / 65536.0 - 0.5);
        3_f32.sqrt() * parts.iter().sum::<f32>()
    };
    (0..len).map(|_| next()).collect()
}
