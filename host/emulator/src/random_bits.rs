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

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that its authors publish for the seed 1234567, of which each goes through the last step.
    #[test]
    fn with_the_last_step_it_is_splitmix64() {
        let numbers: Vec<_> = random_bits(1_234_567).map(|z| z ^ (z >> 31)).take(3).collect();
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
