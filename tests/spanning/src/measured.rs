//! [`Measured`]: a golden case, run on the tier under test.

use gpsimd_emulator::{DType, Engine, Mode, Op, Tensor};

use crate::{GoldenCase, digest};

/// A golden case with its results.
pub struct Measured {
    case: GoldenCase,
    results: Vec<Tensor>,
    /// Of each result.
    errors: Vec<f64>,
}

/// Results that share a promise: by their type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// f32.
    F32,
    /// f32, where the argument of an exponential is rounded: see `tests/golden/bert_ops.py`.
    F32Rounded,
    /// bf16 or f16, to which a result that is computed in f32 is rounded.
    Narrow,
}

/// How many ulps an output of a kind errs at most.
pub type Promise = (&'static str, Kind, f64);

fn engine(mode: Mode, tcm_bytes: usize) -> Engine {
    Engine::builder().threads(2).mode(mode).tcm_bytes(tcm_bytes).build().expect("an engine")
}

fn run(engine: &Engine, op: &Op, case: &GoldenCase) -> Vec<Tensor> {
    let results = engine.call_all(op, &case.views(), &case.scalars);
    results.unwrap_or_else(|error| panic!("{}, {}: {error}", op.name(), case.name))
}

impl Measured {
    /// All cases of `op`, in checked mode.
    pub fn all(op: &Op) -> Vec<Self> {
        let engine = engine(Mode::Checked, 16 * 1024);
        let measure = |case: GoldenCase| {
            let results = run(&engine, op, &case);
            let errors =
                case.results.iter().zip(&results).map(|(expected, result)| expected.error_of(result)).collect();
            Self { case, results, errors }
        };
        GoldenCase::all(op).into_iter().map(measure).collect()
    }

    /// A line for every result of the cases: digest and error.
    pub fn lines(all: &[Self]) -> String {
        all.iter().flat_map(Self::lines_of).collect::<Vec<_>>().join("\n")
    }

    fn lines_of(&self) -> impl Iterator<Item = String> {
        let results = self.case.results.iter().zip(&self.results).zip(&self.errors);
        results.map(|((expected, result), error)| {
            let name = match &self.case.results[..] {
                [_] => self.case.name.clone(),
                _ => format!("{}: {}", self.case.name, expected.output),
            };
            let error = match expected.pytorch_error() {
                Some(theirs) => format!("{error:.2} ulp, PyTorch {theirs:.2}"),
                None => "exact".to_owned(),
            };
            format!("{name:<44} {:016x}  {error}", digest(result))
        })
    }

    /// Fails unless every result keeps what is promised of it, or is exact.
    ///
    /// # Panics
    /// Then, and when nothing is promised of a result that is rounded.
    pub fn verify(all: &[Self], promised: &[Promise]) {
        for Self { case, results, errors } in all {
            for ((expected, result), error) in case.results.iter().zip(results).zip(errors) {
                let (case, output) = (&case.name, &expected.output);
                if expected.pytorch_error().is_none() {
                    assert_eq!(*error, 0.0, "{case}: `{output}` is not exact");
                    continue;
                }
                let kind = match result.ty().dtype() {
                    DType::Bf16 | DType::F16 => Kind::Narrow,
                    DType::F32 if case.contains("_rounded_") => Kind::F32Rounded,
                    _ => Kind::F32,
                };
                let bound = promised.iter().find(|promise| promise.0 == output && promise.1 == kind);
                let Some(&(_, _, bound)) = bound else { panic!("nothing is promised for `{output}` as {kind:?}") };
                assert!(*error <= bound, "{case}: `{output}` errs by {error} ulps, at most {bound} are promised");
            }
        }
    }

    /// Fails unless all cases of `op` have the same bits in fast mode and in either with `small` bytes of TCM: rows that fit and
    /// rows that do not take other paths.
    ///
    /// # Panics
    /// Then.
    pub fn verify_bits(op: &Op, small: usize) {
        for Self { case, results, .. } in Self::all(op) {
            for (mode, tcm_bytes) in [(Mode::Fast, 16 * 1024), (Mode::Fast, small), (Mode::Checked, small)] {
                let others = run(&engine(mode, tcm_bytes), op, &case);
                let is_same = others.iter().map(digest).eq(results.iter().map(digest));
                assert!(
                    is_same,
                    "{}, {}: other bits in {mode:?} mode with {tcm_bytes} bytes of TCM",
                    op.name(),
                    case.name
                );
            }
        }
    }
}
