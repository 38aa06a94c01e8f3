//! The ops of the BERT trainer against float64 references, and their own bits of yesterday.
//!
//! What an error in ulps is stands in `tests/golden/generate.py`. The measured errors of the cases are in the snapshots,
//! one line for each case, with the digest of the result's bits: a change of any bit of any result shows as a changed
//! snapshot. `cargo insta review` shows what moved. Beside them stands, for comparison, the error of PyTorch's operators
//! on a CPU without vector extensions; on another CPU it is another.

use gpsimd_emulator::{DType, Engine, Mode, Op, Tensor};
use gpsimd_tests::{GoldenCase, digest, library};

fn op(name: &str) -> Op {
    library(&bert_ops::OP_LIBRARY).op(name).expect("the op")
}

fn engine(mode: Mode, tcm_bytes: usize) -> Engine {
    Engine::builder().threads(2).mode(mode).tcm_bytes(tcm_bytes).build().expect("an engine")
}

/// One case, run.
struct Measured {
    case: GoldenCase,
    result: Tensor,
    error: f64,
}

fn measure(name: &str) -> Vec<Measured> {
    let (op, engine) = (op(name), engine(Mode::Checked, 16 * 1024));
    let run = |case: GoldenCase| {
        let result = engine.call(&op, &case.views(), &case.scalars);
        let result = result.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let error = case.error_of(&result);
        Measured { case, result, error }
    };
    GoldenCase::all(&op).into_iter().map(run).collect()
}

/// Cases that share a promise, by the type of the result: `adamw_step` computes in f32 whatever its gradient is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    F32,
    /// The argument of the exponential is rounded: see `generate.py`.
    F32Rounded,
    Bf16,
}

impl Kind {
    fn of(Measured { case, result, .. }: &Measured) -> Self {
        match result.ty().dtype() {
            DType::Bf16 => Self::Bf16,
            DType::F32 if case.name.contains("_rounded_") => Self::F32Rounded,
            DType::F32 => Self::F32,
            dtype => unreachable!("no Rust op returns {}", dtype.name()),
        }
    }
}

/// The promised ulps of every case of a kind; the digests.
fn verify(name: &str, promised: &[(Kind, f64)]) {
    let measured = measure(name);
    insta::assert_snapshot!(name, measured.iter().map(line).collect::<Vec<_>>().join("\n"));
    for measured in &measured {
        let kind = Kind::of(measured);
        let Some(&(_, bound)) = promised.iter().find(|(promised, _)| *promised == kind) else {
            panic!("{name}: nothing is promised for {kind:?}")
        };
        let Measured { case, error, .. } = measured;
        assert!(*error <= bound, "{name}, {}: {error} ulps, at most {bound} are promised", case.name);
    }
}

fn line(Measured { case, result, error }: &Measured) -> String {
    let GoldenCase { name, pytorch_error, .. } = case;
    format!("{name:<44} {:016x}  {error:.2} ulp, PyTorch {pytorch_error:.2}", digest(result))
}

#[test]
fn bias_gelu_forward_is_as_exact_as_promised() {
    // Measured: 2.19, 1.92, 0.50.
    verify("bias_gelu_forward", &[(Kind::F32, 2.5), (Kind::F32Rounded, 2.25), (Kind::Bf16, 0.51)]);
}

#[test]
fn bias_gelu_backward_is_as_exact_as_promised() {
    // Measured: 2.89, 1.37, 0.50.
    verify("bias_gelu_backward", &[(Kind::F32, 3.0), (Kind::F32Rounded, 1.5), (Kind::Bf16, 0.51)]);
}

#[test]
fn masked_softmax_forward_is_as_exact_as_promised() {
    // Measured: 3.70, 5.58, 2.53.
    verify("masked_softmax_forward", &[(Kind::F32, 4.0), (Kind::F32Rounded, 6.0), (Kind::Bf16, 2.75)]);
}

#[test]
fn masked_softmax_backward_is_as_exact_as_promised() {
    // Measured: 1.76, 0.50.
    verify("masked_softmax_backward", &[(Kind::F32, 2.0), (Kind::Bf16, 0.51)]);
}

#[test]
fn adamw_step_is_as_exact_as_promised() {
    // Measured: 2.46.
    verify("adamw_step", &[(Kind::F32, 2.75)]);
}

/// The ops with golden files; those of the others' tests are in their crates.
const OPS: [&str; 5] =
    ["bias_gelu_forward", "bias_gelu_backward", "masked_softmax_forward", "masked_softmax_backward", "adamw_step"];

/// Of every case: the paths of rows that fit in TCM and of those that do not compute the same bits, and fast mode, too.
#[test]
fn the_size_of_tcm_and_the_mode_change_no_bit() {
    let engines = [engine(Mode::Fast, 16 * 1024), engine(Mode::Fast, 1024), engine(Mode::Checked, 1024)];
    for op in OPS.map(op) {
        for Measured { case, result, .. } in measure(op.name()) {
            for engine in &engines {
                let other = engine.call(&op, &case.views(), &case.scalars);
                let other = other.unwrap_or_else(|error| panic!("{}: {error}", case.name));
                assert_eq!(
                    digest(&other),
                    digest(&result),
                    "{}, {} in {:?} mode with {} bytes of TCM",
                    op.name(),
                    case.name,
                    engine.mode(),
                    engine.tcm_bytes(&op),
                );
            }
        }
    }
}
