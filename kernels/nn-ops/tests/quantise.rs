//! Rows of 8-bit integers: the error of a round trip, on the tier under test, with the bits of every engine. The values
//! themselves are in the golden files.

use gpsimd_testing::{Ops, Tensor, digest, numbers, values};

fn ops() -> Ops {
    Ops::of(&nn_ops::OP_LIBRARY)
}

fn round_trip(x: &Tensor) -> [Tensor; 3] {
    let [q, scale] = ops().run_everywhere("quantise_rows", &[x], &[]);
    let [back] = ops().run_everywhere("dequantise_rows", &[&q, &scale], &[]);
    [q, scale, back]
}

#[test]
fn a_round_trip_errs_by_half_a_scale_at_most() {
    for shape in [vec![1], vec![17], vec![3, 5, 31], vec![100, 2], vec![2, 5000], vec![0, 4], vec![3, 0]] {
        let x = Tensor::from_vec(numbers(1, shape.iter().product()), &shape).unwrap();
        let [q, scale, back] = round_trip(&x);
        let columns = shape.last().copied().unwrap_or(1);
        assert!(q.as_slice::<i8>().unwrap().iter().all(|q| *q != i8::MIN));
        let [x, scale, back] = [&x, &scale, &back].map(values);
        for (i, (x, back)) in x.iter().zip(&back).enumerate() {
            let scale = scale[i / columns];
            assert!((x - back).abs() <= 0.5 * scale * (1.0 + 1e-5), "{x} became {back} with the scale {scale}");
        }
    }
}

/// Native library, op package and Xtensa program run this test, and have these bits.
#[test]
fn the_bits_are_those_of_every_tier() {
    let x = Tensor::from_vec(numbers(2, 7 * 143), &[7, 143]).unwrap();
    assert_eq!(
        round_trip(&x).each_ref().map(digest),
        [0x1d15_f533_0830_08d0, 0x5464_14b2_6c6b_224c, 0xce92_283c_a353_7be7]
    );
}
