//! `gpsimd::random`: Random123's vectors, independence of order, and the moments and shapes of the distributions.
//!
//! Every number is fixed by its seed. The bounds are five standard deviations of the statistic, which a good generator
//! exceeds once in a million tests.

use gpsimd::random::{Philox, bernoulli, normal, threshold, uniform, uniform_above_0};
use proptest::prelude::*;

const COUNT: usize = 1 << 20;

/// A generator whose seed and stream are the words of a key and of the upper half of a counter.
fn philox([key0, key1]: [u32; 2], [stream0, stream1]: [u32; 2]) -> Philox {
    let join = |low, high| u64::from(high) << 32 | u64::from(low);
    Philox::new(join(key0, key1)).stream(join(stream0, stream1))
}

fn bits(philox: Philox, first: u64) -> Vec<u32> {
    let mut bits = vec![0; COUNT];
    philox.fill(first, &mut bits, |bits| bits);
    bits
}

/// Pearson's statistic of counts that should be equal, as standard deviations from its mean.
fn chi_square(counts: &[u32]) -> f64 {
    let expected = counts.iter().map(|&n| f64::from(n)).sum::<f64>() / counts.len() as f64;
    let statistic: f64 = counts.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
    let freedom = counts.len() as f64 - 1.0;
    (statistic - freedom) / (2.0 * freedom).sqrt()
}

/// The mean of f over values, as standard errors from the true mean, given the true variance of f.
fn deviation(values: &[f32], f: impl Fn(f64) -> f64, mean: f64, variance: f64) -> f64 {
    let count = values.len() as f64;
    let found = values.iter().map(|&x| f(x.into())).sum::<f64>() / count;
    (found - mean) / (variance / count).sqrt()
}

#[test]
fn blocks_are_those_of_random123() {
    // The three lines `philox4x32 10` of its tests/kat_vectors: counter, key, block.
    let join = |low, high| u64::from(high) << 32 | u64::from(low);
    let vectors: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([!0; 4], [!0; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for ([c0, c1, c2, c3], key, block) in vectors {
        assert_eq!(philox(key, [c2, c3]).block(join(c0, c1)), block);
    }
}

#[test]
fn a_block_is_known_when_compiling() {
    const BLOCK: [u32; 4] = Philox::new(0).stream(0).block(0);
    assert_eq!(BLOCK[0], 0x6627_e8d5);
}

#[test]
fn sixteen_elements_have_the_same_number_of_sixteen_blocks() {
    let philox = Philox::new(7).stream(9);
    for element in 0..1000_u64 {
        let (group, word, lane) = (element / 64, element / 16 % 4, element % 16);
        assert_eq!(philox.bits(element), philox.block(16 * group + lane)[word as usize], "element {element}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn elements_have_their_numbers_wherever_a_slice_begins_and_ends(
        seed: u64, stream: u64, first in prop_oneof![0..200_u64, any::<u64>().prop_map(|n| n >> 1)], cut in 0..300_usize,
    ) {
        let philox = Philox::new(seed).stream(stream);
        let mut values = [0; 300];
        let (left, right) = values.split_at_mut(cut);
        philox.fill(first + cut as u64, right, |bits| bits);
        philox.update(first, left, |zero, bits| zero + bits);
        for (i, bits) in values.into_iter().enumerate() {
            prop_assert_eq!(bits, philox.bits(first + i as u64));
        }
        let mut normals = [0.0; 300];
        let (left, right) = normals.split_at_mut(cut);
        philox.fill_normal(first + cut as u64, right);
        philox.fill_normal(first, left);
        for (i, z) in normals.into_iter().enumerate() {
            let element = first + i as u64;
            let (pair, place) = (element & !16, (element / 16 % 2) as usize);
            prop_assert_eq!(z, normal(philox.bits(pair), philox.bits(pair | 16))[place]);
        }
    }

    #[test]
    fn a_probability_is_a_share_of_all_bits(p in 0.0..=1.0_f32) {
        let share = f64::from(threshold(p)) / 2_f64.powi(31);
        prop_assert!(share <= f64::from(p) && f64::from(p) - share < 2_f64.powi(-31));
    }

    #[test]
    fn normal_is_box_and_mullers(radius: u32, angle: u32) {
        let u = (f64::from(radius >> 1) + 0.5) / 2_f64.powi(31);
        let r = (-2.0 * libm::log(u)).sqrt();
        let turn = f64::from(angle) / 2_f64.powi(32) * std::f64::consts::TAU;
        for (z, expected) in normal(radius, angle).into_iter().zip([r * libm::cos(turn), r * libm::sin(turn)]) {
            // u has 24 digits, which near 1 is the precision of the logarithm: 2^-25 over r.
            let bound = 3e-7 * r.max(1e-3) + 6e-8 / r.max(1e-4);
            prop_assert!((f64::from(z) - expected).abs() < bound, "{z} for {expected}");
        }
    }
}

#[test]
fn the_ends_of_the_distributions() {
    assert_eq!([uniform(0), uniform(!0)], [0.0, 1.0 - 2_f32.powi(-24)]);
    assert_eq!([uniform_above_0(0), uniform_above_0(!0)], [2_f32.powi(-24), 1.0]);
    for (p, t) in [(-1.0, 0), (0.0, 0), (0.5, 1 << 30), (1.0, 1 << 31), (2.0, 1 << 31), (f32::NAN, 0)] {
        assert_eq!(threshold(p), t, "{p}");
    }
    assert!(!bernoulli(0, threshold(0.0)) && bernoulli(!0, threshold(1.0)));
    assert!(bernoulli(0x7fff_ffff, threshold(0.5)) && !bernoulli(0x8000_0000, threshold(0.5)));
    assert_eq!(normal(!0, 0), [0.0, 0.0]);
    assert_eq!(normal(0, 0), [6.660_437, 0.0]);
    assert_eq!(normal(0, 1 << 30), [0.0, 6.660_437]);
}

#[test]
fn every_byte_of_a_number_is_evenly_distributed() {
    for seed in [0, 1, 0x0123_4567_89ab_cdef] {
        let bits = bits(Philox::new(seed), 0);
        for byte in 0..4 {
            let mut counts = [0; 256];
            for bits in &bits {
                counts[(bits >> (8 * byte) & 0xff) as usize] += 1;
            }
            let deviation = chi_square(&counts);
            assert!(deviation.abs() < 5.0, "byte {byte}, seed {seed}: {deviation}");
        }
    }
}

#[test]
fn neighbours_streams_and_seeds_are_independent() {
    let original = bits(Philox::new(1), 0);
    let others = [
        ("the next element", bits(Philox::new(1), 1)),
        ("16 elements on", bits(Philox::new(1), 16)),
        ("64 elements on", bits(Philox::new(1), 64)),
        ("the next stream", bits(Philox::new(1).stream(1), 0)),
        ("the next seed", bits(Philox::new(2), 0)),
    ];
    for (what, other) in others {
        let mut counts = [0; 256];
        original.iter().zip(&other).for_each(|(a, b)| counts[(a >> 28 << 4 | b >> 28) as usize] += 1);
        let deviation = chi_square(&counts);
        assert!(deviation.abs() < 5.0, "{what}: {deviation}");
        let differing: u32 = original.iter().zip(&other).map(|(a, b)| (a ^ b).count_ones()).sum();
        let bits = 32.0 * COUNT as f64;
        let deviation = (f64::from(differing) - bits / 2.0) / (bits / 4.0).sqrt();
        assert!(deviation.abs() < 5.0, "{what}: {deviation}");
    }
}

#[test]
fn uniform_numbers_have_the_moments_of_their_distribution() {
    let mut values = vec![0.0; COUNT];
    Philox::new(3).fill(0, &mut values, uniform);
    for k in 1..=4 {
        let moment = |k: i32| 1.0 / f64::from(k + 1);
        let deviation = deviation(&values, |x| x.powi(k), moment(k), moment(2 * k) - moment(k).powi(2));
        assert!(deviation.abs() < 5.0, "moment {k}: {deviation}");
    }
}

#[test]
fn normal_numbers_have_the_moments_and_the_shape_of_their_distribution() {
    let mut values = vec![0.0; COUNT];
    Philox::new(4).fill_normal(0, &mut values);
    // Mean and variance of x^k: (k - 1)!! and (2 k - 1)!! - (k - 1)!!^2.
    for (k, mean, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0), (6, 15.0, 10_170.0)] {
        let deviation = deviation(&values, |x| x.powi(k), mean, variance);
        assert!(deviation.abs() < 5.0, "moment {k}: {deviation}");
    }
    // The members of a pair are not correlated.
    let products: Vec<f32> = values.chunks_exact(32).flat_map(|c| (0..16).map(|i| c[i] * c[i + 16])).collect();
    assert!(deviation(&products, |x| x, 0.0, 1.0).abs() < 5.0);

    // Kolmogorov and Smirnov: sqrt(n) D is above 2.5 once in 10^5 times.
    values.sort_by(f32::total_cmp);
    let count = COUNT as f64;
    let distance = values.iter().enumerate().map(|(i, &x)| {
        let below = 0.5 * libm::erfc(-f64::from(x) * std::f64::consts::FRAC_1_SQRT_2);
        (below - i as f64 / count).abs().max((below - (i + 1) as f64 / count).abs())
    });
    let distance = distance.fold(0.0, f64::max) * count.sqrt();
    assert!(distance < 2.5, "{distance}");
}

#[test]
fn bernoulli_is_true_as_often_as_it_should() {
    for p in [0.001, 0.1, 0.5, 0.9] {
        let mut values = vec![0.0; COUNT];
        Philox::new(5).fill(0, &mut values, |bits| f32::from(u8::from(bernoulli(bits, threshold(p)))));
        let p = f64::from(p);
        assert!(deviation(&values, |x| x, p, p * (1.0 - p)).abs() < 5.0, "{p}");
    }
}
