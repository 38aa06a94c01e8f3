//! The ops against formulas in f64, in both modes of the emulator. `cargo gpsimd test` runs this on
//! every tier; the bits have to be the same.

use gpsimd_testing::{Ops, Tensor, digest, error_in_ulps};

/// No element, one, less than a vector of 16, and sizes that neither cores nor tiles divide.
const SHAPES: [&[usize]; 5] = [&[0], &[1], &[15], &[3, 1001], &[7, 4099]];

fn ops() -> Ops {
    Ops::of(&my_ops::OP_LIBRARY)
}

/// Numbers from -8 to 8 that repeat every `period` elements.
fn numbers(shape: &[usize], period: usize) -> Tensor {
    let len = shape.iter().product();
    let number = |i| 16.0 * (i % period) as f32 / period as f32 - 8.0;
    Tensor::from_vec((0..len).map(number).collect(), shape).expect("as many as the shape has")
}

fn elements(tensor: &Tensor) -> impl Iterator<Item = f64> {
    let elements = tensor.as_slice::<f32>().expect("f32");
    elements.iter().map(|x| f64::from(*x))
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn silu_is_near_its_formula() {
    for shape in SHAPES {
        let x = numbers(shape, 1013);
        let y = ops().run("silu", &[&x], &[]);
        let error = error_in_ulps(&y, elements(&x).map(|x| x * sigmoid(x)));
        assert!(error < 3.0, "{shape:?}: {error} ulps");
    }
}

#[test]
fn silu_backward_is_near_the_derivative() {
    for shape in SHAPES {
        let (dy, x) = (numbers(shape, 97), numbers(shape, 1013));
        let dx = ops().run("silu_backward", &[&dy, &x], &[]);
        let derivative = |x| sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)));
        let exact = elements(&dy)
            .zip(elements(&x))
            .map(|(dy, x)| dy * derivative(x));
        // Ten units of the last place of the largest results; near its zero, the derivative is a
        // difference of larger numbers.
        let error = elements(&dx)
            .zip(exact)
            .map(|(found, exact)| (found - exact).abs());
        let error = error.fold(0.0, f64::max);
        assert!(error < 1e-5, "{shape:?}: {error}");
    }
}

#[test]
fn the_bits_stay_the_same() {
    let ops = ops();
    let bits = SHAPES.map(|shape| {
        let (dy, x) = (numbers(shape, 97), numbers(shape, 1013));
        let forward = digest(&ops.run("silu", &[&x], &[]));
        let backward = digest(&ops.run("silu_backward", &[&dy, &x], &[]));
        format!("{shape:?} {forward:016x} {backward:016x}")
    });
    insta::assert_snapshot!(bits.join("\n"));
}
