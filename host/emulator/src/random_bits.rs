//! [`random_bits`]: what the made-up operands of tests and measurements are made of.

/// Bits without end, the same for the same seed: splitmix64, without its last step.
///
/// Not a generator of a library, whose next release may have other numbers: snapshots go by these.
pub fn random_bits(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    })
}
