//! [`GoldenCase`]: operands with the result they should have, from the files that `tests/golden/generate.py` writes.

use std::path::{Path, PathBuf};

use gpsimd_emulator::{DType, Op, Scalar, Tensor, TensorView, bf16};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

/// Operands of an op and its result in float64.
pub struct GoldenCase {
    /// Dtype of the operands and what is particular about the case: `bf16_long_rows`.
    pub name: String,
    /// The tensor operands in order.
    pub operands: Vec<Tensor>,
    /// The scalar operands in order.
    pub scalars: Vec<Scalar>,
    /// The largest error of PyTorch's own operators.
    pub pytorch_error: f64,
    /// The result, element by element.
    reference: Vec<f64>,
    /// Binary logarithm of one unit of error, element by element.
    unit: Vec<i16>,
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
        let get = |name: &str| file.tensor(name).unwrap_or_else(|error| fail(&error));
        let operands = op.descriptor().tensors().map(|(name, _)| tensor(&get(name))).collect();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            name,
            operands,
            scalars: elements::<f32>(get("scalars").data()).into_iter().map(Scalar::F32).collect(),
            pytorch_error: elements(get("pytorch_error").data())[0],
            reference: elements(get("reference").data()),
            unit: elements(get("unit").data()),
        }
    }

    /// Views of the operands, as a launch takes them.
    pub fn views(&self) -> Vec<TensorView<'_>> {
        self.operands.iter().map(Tensor::view).collect()
    }

    /// The largest error of `result`, in units of the last place. Infinite when an element is NaN or infinite where the
    /// reference is not, or the other way round.
    ///
    /// # Panics
    /// When `result` has another number of elements than the reference.
    pub fn error_of(&self, result: &Tensor) -> f64 {
        let result: Vec<f64> = match result.ty().dtype() {
            DType::F32 => result.as_slice::<f32>().expect("f32").iter().copied().map(f64::from).collect(),
            DType::Bf16 => result.as_slice::<bf16>().expect("bf16").iter().copied().map(f64::from).collect(),
            dtype => unreachable!("no Rust op returns {}", dtype.name()),
        };
        assert_eq!(result.len(), self.reference.len(), "{}: elements of the result", self.name);
        let error = |((result, reference), unit): ((&f64, &f64), &i16)| {
            if result == reference || (result.is_nan() && reference.is_nan()) {
                return 0.0;
            }
            let error = (result - reference).abs() / f64::from(*unit).exp2();
            if error.is_finite() { error } else { f64::INFINITY }
        };
        result.iter().zip(&self.reference).zip(&self.unit).map(error).fold(0.0, f64::max)
    }
}

fn tensor(view: &safetensors::tensor::TensorView<'_>) -> Tensor {
    let tensor = match view.dtype() {
        Dtype::F32 => Tensor::from_vec(elements::<f32>(view.data()), view.shape()),
        Dtype::BF16 => Tensor::from_vec(elements::<bf16>(view.data()), view.shape()),
        other => panic!("a golden operand is f32 or bf16, found {other:?}"),
    };
    tensor.expect("a safetensors file has as many elements as its shape says")
}

fn elements<T: bytemuck::Pod>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}
