//! [`GoldenCase`]: operands with the results they should have, from the files that `tests/golden/generate.py` writes.

use std::path::{Path, PathBuf};

use gpsimd_emulator::gpsimd_descriptor::{OperandKind, ScalarType};
use gpsimd_emulator::{DType, Op, Scalar, Tensor, TensorView, bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::digest;

/// Operands of an op and what its outputs should be.
pub struct GoldenCase {
    /// Dtype of the operands and what is particular about the case: `bf16_long_rows`.
    pub name: String,
    /// The tensor operands in order.
    pub operands: Vec<Tensor>,
    /// The scalar operands and sizes in order.
    pub scalars: Vec<Scalar>,
    /// One for each output.
    pub results: Vec<GoldenResult>,
}

/// What an output should be.
pub struct GoldenResult {
    /// The output's name.
    pub output: String,
    expected: Expected,
}

enum Expected {
    /// To the bit.
    Exact(Tensor),
    /// The result in float64, and the binary logarithm of one unit of error, element by element; the largest error of
    /// PyTorch's own operators.
    Rounded { reference: Vec<f64>, unit: Vec<i16>, pytorch_error: f64 },
}

impl GoldenCase {
    /// All cases of `op`, in order of their names.
    ///
    /// # Panics
    /// When there are none, or a file is not what `generate.py` writes.
    pub fn all(op: &Op) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden").join(op.name());
        let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} holds no golden files", folder.display());
        paths.iter().map(|path| Self::read(path, op)).collect()
    }

    fn read(path: &Path, op: &Op) -> Self {
        let fail = |what: &dyn std::fmt::Display| -> ! { panic!("{}: {what}", path.display()) };
        let bytes = std::fs::read(path).unwrap_or_else(|error| fail(&error));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| fail(&error));
        let get = |name: &str| file.tensor(name).unwrap_or_else(|error| fail(&format!("{name}: {error}")));
        let result = |output: &str, prefix: &str| {
            let get = |name: &str| get(&format!("{prefix}{name}"));
            let reference = get("reference");
            let expected = match reference.dtype() {
                Dtype::F64 => Expected::Rounded {
                    reference: elements(reference.data()),
                    unit: elements(get("unit").data()),
                    pytorch_error: elements(get("pytorch_error").data())[0],
                },
                _ => Expected::Exact(tensor(&reference)),
            };
            GoldenResult { output: output.to_owned(), expected }
        };
        let results = match op.outputs() {
            [only] => vec![result(&only.name, "")],
            outputs => outputs.iter().map(|output| result(&output.name, &format!("{}.", output.name))).collect(),
        };
        let scalars = elements::<f32>(get("scalars").data());
        Self {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            operands: op.descriptor().tensors().map(|(name, _)| tensor(&get(name))).collect(),
            scalars: op.descriptor().scalar_kinds().zip(scalars).map(|(kind, value)| scalar(kind, value)).collect(),
            results,
        }
    }

    /// Views of the operands, as a launch takes them.
    pub fn views(&self) -> Vec<TensorView<'_>> {
        self.operands.iter().map(Tensor::view).collect()
    }
}

impl GoldenResult {
    /// The largest error of `result`, in units of the last place. Infinite when an element is NaN or infinite where the
    /// reference is not, or the other way round, and when a result that is exact has another bit, its type or its shape.
    ///
    /// # Panics
    /// When `result` has another number of elements than the reference.
    pub fn error_of(&self, result: &Tensor) -> f64 {
        let (reference, unit) = match &self.expected {
            Expected::Exact(expected) => {
                let is_same = result.ty() == expected.ty() && digest(result) == digest(expected);
                return if is_same { 0.0 } else { f64::INFINITY };
            }
            Expected::Rounded { reference, unit, .. } => (reference, unit),
        };
        let result = gpsimd_testing::values(result);
        assert_eq!(result.len(), reference.len(), "`{}`: elements of the result", self.output);
        let error = |((result, reference), unit): ((&f64, &f64), &i16)| {
            if result == reference || (result.is_nan() && reference.is_nan()) {
                return 0.0;
            }
            let error = (result - reference).abs() / f64::from(*unit).exp2();
            if error.is_finite() { error } else { f64::INFINITY }
        };
        result.iter().zip(reference).zip(unit).map(error).fold(0.0, f64::max)
    }

    /// The largest error of PyTorch's own operators; none of a result that is exact.
    pub fn pytorch_error(&self) -> Option<f64> {
        match self.expected {
            Expected::Exact(_) => None,
            Expected::Rounded { pytorch_error, .. } => Some(pytorch_error),
        }
    }
}

fn scalar(kind: OperandKind, value: f32) -> Scalar {
    match kind {
        OperandKind::Scalar(ScalarType::F32) => value.into(),
        OperandKind::Scalar(ScalarType::I32) => (value as i32).into(),
        OperandKind::Scalar(ScalarType::U32) => (value as u32).into(),
        OperandKind::Scalar(ScalarType::Bool) => (value != 0.0).into(),
        OperandKind::Size => (value as usize).into(),
        OperandKind::Tensor(_) => unreachable!("a tensor is none of the scalars"),
    }
}

fn tensor(view: &safetensors::tensor::TensorView<'_>) -> Tensor {
    let (data, shape) = (view.data(), view.shape());
    let tensor = match view.dtype() {
        Dtype::F32 => Tensor::from_vec(elements::<f32>(data), shape),
        Dtype::BF16 => Tensor::from_vec(elements::<bf16>(data), shape),
        Dtype::F16 => Tensor::from_vec(elements::<f16>(data), shape),
        Dtype::I32 => Tensor::from_vec(elements::<i32>(data), shape),
        Dtype::I16 => Tensor::from_vec(elements::<i16>(data), shape),
        Dtype::I8 => Tensor::from_vec(elements::<i8>(data), shape),
        Dtype::U8 => Tensor::from_vec(elements::<u8>(data), shape),
        other => panic!("a golden tensor is of one of {:?}, found {other:?}", DType::ALL),
    };
    tensor.expect("a safetensors file has as many elements as its shape says")
}

fn elements<T: bytemuck::Pod>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}
