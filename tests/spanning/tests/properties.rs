//! What holds for every operand of the ops of the BERT trainer, whatever its size.

use bert_ops::OP_LIBRARY;
use gpsimd_emulator::{DType, Engine, Launch, Mode, Op, Scalar, Tensor, TensorView, bf16, random_bits};
use gpsimd_tests::digest;
use proptest::prelude::*;

fn op(name: &str) -> Op {
    gpsimd_tests::library(&OP_LIBRARY).op(name).expect("the op")
}

/// An engine as no device is, or as all are.
#[derive(Clone, Copy, Debug)]
struct Setup {
    cores: usize,
    threads: usize,
    tcm_bytes: usize,
    mode: Mode,
}

impl Setup {
    /// What results are compared with.
    const DEVICE: Self = Self { cores: 8, threads: 1, tcm_bytes: 16 * 1024, mode: Mode::Checked };

    fn any() -> impl Strategy<Value = Self> {
        // Small pools first: these make rows long.
        let tcm_bytes = prop_oneof![16..32_usize, 32..256_usize, 256..=1024_usize].prop_map(|lines| lines * 64);
        let mode = prop_oneof![Just(Mode::Checked), Just(Mode::Fast)];
        (1..=8_usize, 1..=8_usize, tcm_bytes, mode).prop_map(|(cores, threads, tcm_bytes, mode)| Self {
            cores,
            threads,
            tcm_bytes,
            mode,
        })
    }

    fn engine(self) -> Engine {
        let Self { cores, threads, tcm_bytes, mode } = self;
        Engine::builder().cores(cores).threads(threads).tcm_bytes(tcm_bytes).mode(mode).build().expect("an engine")
    }

    fn run(self, name: &str, operands: &[Tensor], scalars: &[Scalar]) -> Tensor {
        let views: Vec<TensorView<'_>> = operands.iter().map(Tensor::view).collect();
        self.engine().call(&op(name), &views, scalars).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

fn on_device(name: &str, operands: &[Tensor], scalars: &[Scalar]) -> Tensor {
    Setup::DEVICE.run(name, operands, scalars)
}

/// Numbers from -8 to 8, multiples of 1/64, the same for the same seed: their sums are exact.
fn numbers(seed: u64, len: usize) -> Vec<f32> {
    random_bits(seed).map(|bits| (bits >> 54) as f32 / 64.0 - 8.0).take(len).collect()
}

fn tensor(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::from_vec(numbers(seed, shape.iter().product()), shape).expect("as many numbers as the shape has")
}

fn f32s(tensor: &Tensor) -> &[f32] {
    tensor.as_slice().expect("f32")
}

/// The tensor rounded to bf16.
fn rounded(tensor: &Tensor) -> Tensor {
    let elements = f32s(tensor).iter().map(|x| bf16::from_f32(*x)).collect();
    Tensor::from_vec::<bf16>(elements, tensor.ty().shape()).expect("the same shape")
}

/// The bf16 tensor in f32.
fn widened(tensor: &Tensor) -> Tensor {
    let elements = tensor.as_slice::<bf16>().expect("bf16").iter().map(|x| x.to_f32()).collect();
    Tensor::from_vec::<f32>(elements, tensor.ty().shape()).expect("the same shape")
}

/// An op and what to run it on.
#[derive(Clone, Debug)]
struct Case {
    op: &'static str,
    operands: Vec<Tensor>,
    scalars: Vec<Scalar>,
}

fn gelu() -> impl Strategy<Value = Case> {
    let hidden = prop_oneof![1..40_usize, 1..2500_usize];
    (any::<u64>(), 1..6_usize, 1..5_usize, hidden, any::<bool>()).prop_map(|(seed, a, b, hidden, is_backward)| {
        let (x, bias) = (tensor(seed, &[a, b, hidden]), tensor(!seed, &[hidden]));
        let dy = tensor(seed ^ 7, &[a, b, hidden]);
        if is_backward {
            Case { op: "bias_gelu_backward", operands: vec![dy, x, bias], scalars: vec![] }
        } else {
            Case { op: "bias_gelu_forward", operands: vec![x, bias], scalars: vec![] }
        }
    })
}

fn softmax_forward() -> impl Strategy<Value = Case> {
    let keys = prop_oneof![1..40_usize, 1..1500_usize];
    (any::<u64>(), [1..4_usize, 1..4_usize, 1..6_usize], keys, any::<[bool; 3]>()).prop_map(
        |(seed, [b, h, q], keys, broadcast)| {
            let size = |i: usize, size: usize| if broadcast[i] { 1 } else { size };
            let scores = tensor(seed, &[b, h, q, keys]);
            let mask = tensor(!seed, &[size(0, b), size(1, h), size(2, q), keys]);
            Case { op: "masked_softmax_forward", operands: vec![scores, mask], scalars: vec![0.25.into()] }
        },
    )
}

fn softmax_backward() -> impl Strategy<Value = Case> {
    let keys = prop_oneof![1..40_usize, 1..2500_usize];
    (any::<u64>(), 1..12_usize, keys).prop_map(|(seed, rows, keys)| {
        let p = numbers(!seed, rows * keys).iter().map(|x| (x + 8.0) / 64.0).collect();
        let p = Tensor::from_vec::<f32>(p, &[rows, keys]).expect("as many numbers as the shape has");
        Case {
            op: "masked_softmax_backward",
            operands: vec![tensor(seed, &[rows, keys]), p],
            scalars: vec![0.3.into()],
        }
    })
}

fn adamw() -> impl Strategy<Value = Case> {
    (any::<u64>(), 1..9000_usize, 1..50_u32).prop_map(|(seed, len, step)| {
        let mut state = numbers(seed, 3 * len);
        for v in &mut state[2 * len..] {
            *v = v.abs();
        }
        let state = Tensor::from_vec(state, &[3, len]).expect("three rows");
        let scalars = [1e-2, 0.8, 0.97, 1e-6, 0.1, step as f32].map(Scalar::F32).to_vec();
        Case { op: "adamw_step", operands: vec![state, tensor(!seed, &[len])], scalars }
    })
}

fn any_case() -> impl Strategy<Value = Case> {
    prop_oneof![gelu(), softmax_forward(), softmax_backward(), adamw()]
}

fn few(cases: u32) -> ProptestConfig {
    ProptestConfig { cases: gpsimd_tests::cases(cases), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(few(300))]

    #[test]
    fn neither_cores_nor_threads_nor_tcm_nor_mode_change_a_bit(case in any_case(), setup in Setup::any()) {
        let Case { op, operands, scalars } = &case;
        prop_assert_eq!(digest(&setup.run(op, operands, scalars)), digest(&on_device(op, operands, scalars)));
    }

    /// Also of bf16, whose tiles have other lengths.
    #[test]
    fn a_bf16_result_is_the_f32_result_rounded(case in any_case(), setup in Setup::any()) {
        let Case { op, operands, scalars } = &case;
        let is_state = |i: usize| *op == "adamw_step" && i == 0;
        let narrow: Vec<_> =
            operands.iter().enumerate().map(|(i, x)| if is_state(i) { x.clone() } else { rounded(x) }).collect();
        let wide: Vec<_> =
            narrow.iter().map(|x| if x.ty().dtype() == DType::Bf16 { widened(x) } else { x.clone() }).collect();
        let expected = on_device(op, &wide, scalars);
        let result = setup.run(op, &narrow, scalars);
        let expected = if result.ty().dtype() == DType::Bf16 { rounded(&expected) } else { expected };
        prop_assert_eq!(digest(&result), digest(&expected));
    }
}

proptest! {
    #![proptest_config(few(100))]

    #[test]
    fn a_step_in_place_is_the_step_apart(case in adamw(), setup in Setup::any()) {
        let Case { op: name, mut operands, scalars } = case;
        let apart = setup.run(name, &operands, &scalars);
        let grad = operands.pop().expect("the gradient");
        let mut state = operands.pop().expect("the state");
        let launch = Launch { tensors: &[grad.view()], scalars: &scalars, outputs: vec![state.view_mut()] };
        setup.engine().launch_in_place(&op(name), launch).expect("a good launch");
        prop_assert_eq!(digest(&state), digest(&apart));
    }

    #[test]
    fn operands_may_be_the_same_memory(seed in any::<u64>(), rows in 1..9_usize, len in 1..700_usize) {
        let (x, copy, bias) = (tensor(seed, &[rows, len]), tensor(seed, &[rows, len]), tensor(!seed, &[len]));
        let engine = Setup::DEVICE.engine();
        let run = |name, tensors: &[&Tensor], scalars: &[Scalar]| {
            let views: Vec<_> = tensors.iter().map(|tensor| tensor.view()).collect();
            engine.call(&op(name), &views, scalars).expect("a good launch")
        };
        for (name, scalars) in [("bias_gelu_backward", [].as_slice()), ("masked_softmax_backward", &[0.5.into()])] {
            let (mut same, mut apart) = (vec![&x, &x], vec![&x, &copy]);
            if name == "bias_gelu_backward" {
                same.push(&bias);
                apart.push(&bias);
            }
            prop_assert_eq!(digest(&run(name, &same, scalars)), digest(&run(name, &apart, scalars)));
        }
    }

    #[test]
    fn a_bias_is_added_to_every_row(case in gelu()) {
        let Case { op, mut operands, .. } = case;
        let result = on_device(op, &operands, &[]);
        // The same as one row with the bias written out.
        let bias = operands.pop().expect("the bias");
        let flat = |x: &Tensor| Tensor::from_vec(f32s(x).to_vec(), &[1, x.ty().len()]).expect("one row");
        let tiled: Vec<f32> = f32s(&bias).iter().copied().cycle().take(result.ty().len()).collect();
        let mut flattened: Vec<_> = operands.iter().map(flat).collect();
        flattened.push(Tensor::from_vec(tiled, &[result.ty().len()]).expect("a row"));
        prop_assert_eq!(digest(&on_device(op, &flattened, &[])), digest(&result));
    }

    #[test]
    fn a_broadcast_mask_is_the_mask_written_out(case in softmax_forward()) {
        let Case { op, operands, scalars } = case;
        let (shape, mask_shape) = (operands[0].ty(), operands[1].ty());
        let (shape, mask_shape) = (shape.shape(), mask_shape.shape());
        let mut written_out = Vec::new();
        for row in 0..shape[..3].iter().product() {
            let at = [row / shape[2] / shape[1], row / shape[2] % shape[1], row % shape[2]];
            let at: Vec<_> = at.iter().zip(mask_shape).map(|(at, size)| at % size).collect();
            let start = ((at[0] * mask_shape[1] + at[1]) * mask_shape[2] + at[2]) * shape[3];
            written_out.extend_from_slice(&f32s(&operands[1])[start..start + shape[3]]);
        }
        let mask = Tensor::from_vec(written_out, shape).expect("the shape of the scores");
        let expected = on_device(op, &[operands[0].clone(), mask], &scalars);
        prop_assert_eq!(digest(&on_device(op, &operands, &scalars)), digest(&expected));
    }

    #[test]
    fn the_rows_of_a_softmax_are_positive_and_add_up_to_1(case in softmax_forward(), setup in Setup::any()) {
        let keys = case.operands[0].ty().shape()[3];
        let p = setup.run(case.op, &case.operands, &case.scalars);
        for row in f32s(&p).chunks_exact(keys) {
            prop_assert!(row.iter().all(|p| *p >= 0.0));
            let sum: f64 = row.iter().copied().map(f64::from).sum();
            // Each p is off by some ulps, the sum of f32 exponentials by about as many.
            prop_assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        }
    }

    /// To the bit where the sums are exact: the maximum is taken off first.
    #[test]
    fn a_softmax_does_not_change_when_a_row_is_shifted(case in softmax_forward(), shift in -64..64_i32) {
        let Case { op, operands, scalars } = case;
        let shifted = f32s(&operands[1]).iter().map(|x| x + shift as f32).collect();
        let mask = Tensor::from_vec::<f32>(shifted, operands[1].ty().shape()).expect("the same shape");
        let expected = on_device(op, &operands, &scalars);
        prop_assert_eq!(digest(&on_device(op, &[operands[0].clone(), mask], &scalars)), digest(&expected));
    }

    #[test]
    fn the_gradient_of_a_softmax_adds_up_to_0_over_a_row(case in softmax_forward(), seed in any::<u64>()) {
        let p = on_device(case.op, &case.operands, &case.scalars);
        let dp = tensor(seed, p.ty().shape());
        let keys = p.ty().shape()[3];
        let gradient = on_device("masked_softmax_backward", &[dp, p], &[1.0.into()]);
        for row in f32s(&gradient).chunks_exact(keys) {
            let sum: f64 = row.iter().copied().map(f64::from).sum();
            // |dp| is at most 8.
            prop_assert!(sum.abs() < 1e-5, "{sum}");
        }
    }
}
