//! Rotary position embeddings against float64, on the tier under test, with the bits of every engine.
//!
//! Formula: Su and others, `RoFormer`, 2021, equation 34, with the pairs (i, i + D/2) that Llama has.

use gpsimd_testing::{Ops, Tensor, assert_within, bf16, digest, numbers, values};

/// Unit roundoff of f32.
const U: f64 = 1.0 / (1 << 24) as f64;

fn ops() -> Ops {
    Ops::of(&nn_ops::OP_LIBRARY)
}

/// Numbers in place of angles: nothing of the op depends on cos^2 + sin^2 = 1, nor on the halves being equal.
fn operands([batches, heads, len, columns]: [usize; 4], angles: usize) -> [Tensor; 3] {
    [(1, vec![batches, heads, len, columns]), (2, vec![angles, len, columns]), (3, vec![angles, len, columns])]
        .map(|(seed, shape)| Tensor::from_vec(numbers(seed, shape.iter().product()), &shape).unwrap())
}

fn reference(shape: [usize; 4], angles: usize, operands: &[Tensor; 3], transposed: bool) -> Vec<(f64, f64)> {
    let [batches, heads, len, columns] = shape;
    let [x, cos, sin] = operands.each_ref().map(values);
    let half = columns / 2;
    let mut y = Vec::new();
    for row in 0..batches * heads * len {
        let of_angles = (row / (heads * len) % angles * len + row % len) * columns;
        for i in 0..columns {
            let other = (i + half) % columns;
            let sine = if transposed { sin[of_angles + other] } else { sin[of_angles + i] };
            let factor = if (i < half) == transposed { 1.0 } else { -1.0 };
            let (a, b) = (x[row * columns + i] * cos[of_angles + i], factor * x[row * columns + other] * sine);
            y.push((a + b, 2.0 * U * (a.abs() + b.abs())));
        }
    }
    y
}

#[test]
fn any_sizes_are_turned_and_turned_by_the_transposed_matrix() {
    for (shape, angles) in [
        ([1, 1, 1, 2], 1),
        ([2, 3, 1, 8], 2),
        ([2, 3, 5, 6], 1),
        ([2, 3, 5, 6], 2),
        ([1, 9, 7, 34], 1),
        ([3, 1, 40, 14], 3),
        ([1, 2, 100, 64], 1),
        // Not a row fits in TCM with its angles, and parts of it.
        ([2, 1, 2, 2050], 2),
        ([0, 2, 3, 4], 1),
        ([2, 3, 0, 4], 2),
        ([2, 3, 4, 0], 2),
    ] {
        let operands = operands(shape, angles);
        for transposed in [false, true] {
            let [y] = ops().run_everywhere("rope", &operands.each_ref(), &[transposed.into()]);
            assert_within(&y, reference(shape, angles, &operands, transposed));
        }
    }
}

#[test]
fn sizes_that_do_not_belong_together_are_errors() {
    let refused = |shape: [usize; 4], cos: [usize; 3], sin: [usize; 3]| {
        let tensor = |shape: &[usize]| Tensor::from_vec(vec![0.0_f32; shape.iter().product()], shape).unwrap();
        ops()
            .try_run("rope", &[&tensor(&shape), &tensor(&cos), &tensor(&sin)], &[false.into()])
            .unwrap_err()
            .to_string()
    };
    let messages = [
        refused([1, 2, 3, 5], [1, 3, 5], [1, 3, 5]),
        refused([2, 2, 3, 4], [3, 3, 4], [3, 3, 4]),
        refused([2, 2, 3, 4], [1, 2, 4], [1, 2, 4]),
        refused([2, 2, 3, 4], [1, 3, 4], [2, 3, 4]),
    ];
    for (message, part) in messages.iter().zip(["expected an even size", "cos", "cos", "sin"]) {
        assert!(message.contains(part), "{message}");
    }
}

/// Native library, op package and Xtensa program run this test, and have these bits.
#[test]
fn the_bits_are_those_of_every_tier() {
    let narrow = operands([2, 3, 7, 10], 2).map(|tensor| {
        let data = values(&tensor).iter().map(|x| bf16::from_f32(*x as f32)).collect::<Vec<_>>();
        Tensor::from_vec(data, tensor.ty().shape()).unwrap()
    });
    let [wide] = ops().run_all("rope", &operands([2, 3, 7, 10], 2).each_ref(), &[false.into()]);
    let [narrow] = ops().run_all("rope", &narrow.each_ref(), &[true.into()]);
    assert_eq!([wide, narrow].each_ref().map(digest), [0xec5f_7c96_f7f4_bbf8, 0x596a_20dc_8f1f_3e72]);
}
