//! [`numbers`]: operands that nobody chose.

/// `len` numbers from -1 to 1, multiples of 2^-23, the same for the same seed.
pub fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32
    };
    (0..len).map(|_| next()).collect()
}
