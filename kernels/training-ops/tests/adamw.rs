//! The ops of AdamW with clipping: norms against float64, steps against `bert_ops::adamw_step`, to the bit.

use gpsimd_testing::{Ops, Scalar, Tensor, assert_within, bf16, digest, numbers, values};

fn ops() -> Ops {
    Ops::of(&training_ops::OP_LIBRARY)
}

fn tensor(data: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(data, shape).expect("as many numbers as the shape has")
}

/// lr, beta1, beta2, eps, weight decay, step.
fn hyperparameters() -> [Scalar; 6] {
    [0.1, 0.9, 0.99, 1e-8, 0.01, 3.0].map(Scalar::F32)
}

#[test]
fn squares_are_summed_as_in_float64_part_by_part() {
    for len in [0, 1, 7, 8, 100, 4096 * 8, 70_001] {
        let x = tensor(numbers(1, len), &[len]);
        let [sums] = ops().run_everywhere("sum_of_squares", &[&x], &[]);
        let squares: Vec<_> = values(&x).iter().map(|x| x * x).collect();
        // The parts of a share: the first ones are an element longer.
        let mut rest = &squares[..];
        let exact: Vec<f64> = (0..8)
            .map(|part| {
                let (own, after) = rest.split_at(len / 8 + usize::from(part < len % 8));
                rest = after;
                own.iter().sum()
            })
            .collect();
        // 256 squares in a lane, 4 levels of lanes, and the blocks of a part.
        let error = (256.0 + 4.0 + (len / 8 / 4096) as f64 + 2.0) * 2.0_f64.powi(-24);
        assert_within(&sums, exact.into_iter().map(|exact| (exact, error * exact)));
    }
}

#[test]
fn an_infinity_or_a_nan_is_in_the_sum_of_its_part() {
    let mut data = numbers(1, 80);
    (data[5], data[75]) = (f32::INFINITY, f32::NAN);
    let [sums] = ops().run_everywhere("sum_of_squares", &[&tensor(data, &[8, 10])], &[]);
    let sums = values(&sums);
    assert!(sums[0] == f64::INFINITY && sums[7].is_nan() && sums[1..7].iter().all(|sum| sum.is_finite()), "{sums:?}");
}

#[test]
fn a_scaled_step_is_the_step_of_a_scaled_gradient() {
    let bert = Ops::native(&bert_ops::OP_LIBRARY);
    for (len, scale) in [(1, 1.0), (100, 0.3), (5000, 1.0), (5000, 1e-3), (33, f32::NAN)] {
        let state = tensor(numbers(1, 3 * len).iter().map(|x| x.abs()).collect(), &[3, len]);
        let grad = numbers(2, len);
        let of_scale = tensor(vec![scale], &[1]);
        let [found] = ops().run_everywhere(
            "scaled_adamw_step",
            &[&state, &tensor(grad.clone(), &[len]), &of_scale],
            &hyperparameters(),
        );
        let scaled = tensor(grad.into_iter().map(|g| scale * g).collect(), &[len]);
        let expected = bert.run("adamw_step", &[&state, &scaled], &hyperparameters());
        if scale.is_nan() {
            assert!(values(&found).iter().all(|value| value.is_nan()));
        } else {
            assert_eq!(digest(&found), digest(&expected), "{len} elements, scale {scale}");
        }
    }
}

#[test]
fn gradients_in_bf16_are_scaled_in_f32() {
    let grad: Vec<bf16> = numbers(2, 50).into_iter().map(bf16::from_f32).collect();
    let state = tensor(vec![0.5; 150], &[3, 50]);
    let scale = tensor(vec![0.3], &[1]);
    let wide = tensor(grad.iter().map(|g| g.to_f32()).collect(), &[50]);
    let grad = Tensor::from_vec(grad, &[50]).unwrap();
    let [narrow] = ops().run_everywhere("scaled_adamw_step", &[&state, &grad, &scale], &hyperparameters());
    let [wide] = ops().run_everywhere("scaled_adamw_step", &[&state, &wide, &scale], &hyperparameters());
    assert_eq!(digest(&narrow), digest(&wide));
}

#[test]
fn what_does_not_fit_is_refused() {
    let (state, grad) = (tensor(vec![0.0; 6], &[3, 2]), tensor(vec![0.0; 2], &[2]));
    let refused = |tensors: [&Tensor; 3]| {
        ops().try_run("scaled_adamw_step", &tensors, &hyperparameters()).unwrap_err().to_string()
    };
    let two = refused([&state, &grad, &grad]);
    assert!(two.contains("operand `scale` has 2 elements in dimension 0, expected 1"), "{two}");
    let flat = refused([&grad, &grad, &grad]);
    assert!(flat.contains("operand `state` has 1 dimension, expected 2"), "{flat}");
}
