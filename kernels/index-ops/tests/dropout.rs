//! Dropout against Philox4x32-10 as its paper writes it, on the tier under test, with the bits of every engine.
//!
//! Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, SC11, section 3.3; constants and known answers
//! are those of Random123.

use gpsimd_testing::{Ops, Tensor, bf16, digest, f16, numbers};

/// One block of four numbers.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let product = |factor: u32, x: u32| u64::from(factor) * u64::from(x);
        let (first, second) = (product(0xD251_1F53, counter[0]), product(0xCD9E_8D57, counter[2]));
        let (high, low) = (|x: u64| (x >> 32) as u32, |x: u64| x as u32);
        counter = [high(second) ^ counter[1] ^ key[0], low(second), high(first) ^ counter[3] ^ key[1], low(first)];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[test]
fn the_reference_has_the_known_answers() {
    assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    assert_eq!(
        philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
    );
}

/// The number of an element: word i / 16 % 4 of block 16 (i / 64) + i % 16, as `gpsimd::random::Philox` documents.
fn bits(seed: u64, i: usize) -> u32 {
    let block = (i / 64 * 16 + i % 16) as u64;
    philox([block as u32, (block >> 32) as u32, 0, 0], [seed as u32, (seed >> 32) as u32])[i / 16 % 4]
}

fn ops() -> Ops {
    Ops::of(&index_ops::OP_LIBRARY)
}

fn seed_tensor(seed: u64) -> Tensor {
    Tensor::from_vec(vec![seed as u32 as i32, (seed >> 32) as u32 as i32], &[2]).expect("two halves")
}

fn dropout(x: &Tensor, seed: u64, p: f32) -> Tensor {
    let [y] = ops().run_everywhere("dropout", &[x, &seed_tensor(seed)], &[p.into()]);
    y
}

/// An element is kept where its number, of 31 bits, is below the probability of that.
fn is_kept(seed: u64, i: usize, p: f32) -> bool {
    f64::from(bits(seed, i) >> 1) < (f64::from(1.0 - p) * f64::from(1_u32 << 31)).floor()
}

#[test]
fn the_elements_that_philox_says_are_dropped() {
    for (shape, p) in [
        (vec![1], 0.5),
        (vec![63], 0.1),
        (vec![64], 0.3),
        (vec![65], 0.9),
        (vec![3, 777], 0.25),
        (vec![2, 3, 5, 7], 1e-7),
        (vec![20_000], 0.4),
    ] {
        for seed in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let x = numbers(seed, shape.iter().product());
            let scale = 1.0 / (1.0 - p);
            let expected: Vec<f32> =
                x.iter().enumerate().map(|(i, x)| if is_kept(seed, i, p) { scale * x } else { 0.0 }).collect();
            let y = dropout(&Tensor::from_vec(x, &shape).unwrap(), seed, p);
            assert_eq!(y.as_slice::<f32>().unwrap(), expected, "{shape:?}, p = {p}, seed {seed}");
        }
    }
}

#[test]
fn other_floats_drop_the_same_elements_and_are_the_f32_result_rounded() {
    let x = numbers(9, 1001);
    macro_rules! check {
        ($T:ident) => {
            let narrow: Vec<$T> = x.iter().map(|x| $T::from_f32(*x)).collect();
            let wide = narrow.iter().map(|x| x.to_f32()).collect::<Vec<f32>>();
            let expected = dropout(&Tensor::from_vec(wide, &[7, 143]).unwrap(), 5, 0.2);
            let expected = expected.as_slice::<f32>().unwrap().iter().map(|x| $T::from_f32(*x)).collect::<Vec<$T>>();
            let found = dropout(&Tensor::from_vec(narrow, &[7, 143]).unwrap(), 5, 0.2);
            assert_eq!(digest(&found), digest(&Tensor::from_vec(expected, &[7, 143]).unwrap()));
        };
    }
    check!(bf16);
    check!(f16);
}

#[test]
fn of_p_0_everything_stays_and_of_p_1_nothing() {
    let special = vec![f32::NAN, f32::INFINITY, -0.0, 1e-45, f32::MAX, -3.0];
    let x = Tensor::from_vec(special.clone(), &[6]).unwrap();
    let all = dropout(&x, 3, 0.0);
    assert_eq!(digest(&all), digest(&x));
    // What is dropped is 0, whatever it was.
    assert_eq!(dropout(&x, 3, 1.0).as_slice::<f32>().unwrap(), [0.0; 6]);
}

#[test]
fn the_share_of_elements_is_the_probability() {
    let x = Tensor::from_vec(vec![1.0_f32; 20_000], &[20_000]).unwrap();
    for p in [0.01_f32, 0.1, 0.5, 0.99] {
        let dropped = dropout(&x, 17, p).as_slice::<f32>().unwrap().iter().filter(|y| **y == 0.0).count() as f64;
        let (n, p) = (20_000.0, f64::from(p));
        // Five standard deviations.
        assert!((dropped - n * p).abs() < 5.0 * (n * p * (1.0 - p)).sqrt(), "{dropped} of {n}, p = {p}");
    }
}

#[test]
fn a_tensor_of_nothing_stays_that() {
    assert_eq!(dropout(&Tensor::from_vec::<f32>(vec![], &[0, 3]).unwrap(), 1, 0.5).ty().len(), 0);
}

#[test]
fn what_is_no_probability_is_refused() {
    let x = Tensor::from_vec(vec![1.0_f32], &[1]).unwrap();
    for p in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
        let error = ops().try_run("dropout", &[&x, &seed_tensor(1)], &[p.into()]).unwrap_err();
        assert!(error.to_string().contains("`p` is a probability, from 0 to 1"), "{error}");
    }
}
