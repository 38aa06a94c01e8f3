//! [`Golden`]: what a golden file says of an op's outputs. `tests/golden/generate.py` of the SDK's repository writes such files,
//! and says what is in them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use gpsimd_emulator::gpsimd_descriptor::{OperandKind, ScalarType};
use gpsimd_emulator::{DType, Op, Scalar, Tensor, TensorType};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::case::Case;
use crate::operands::Operands;

/// What the outputs of a case should be, in order.
pub(super) struct Golden {
    references: Vec<Reference>,
}

enum Reference {
    /// To the bit: what the native tier is tested against.
    Exact,
    /// In float64; and the binary logarithm of one unit of error, element by element.
    Rounded { reference: Vec<f64>, unit: Vec<i16> },
}

/// The cases in a folder of files of an op, in the order of their names.
pub(super) fn read_all(folder: &Path, op: &Op) -> anyhow::Result<Vec<Case>> {
    let entries = folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "safetensors"));
    files.sort();
    files.iter().map(|file| read(file, op)).collect()
}

fn read(file: &Path, op: &Op) -> anyhow::Result<Case> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    parse(&bytes, name, op).with_context(|| format!("{} is not a golden file of op `{}`", file.display(), op.name()))
}

fn parse(bytes: &[u8], name: String, op: &Op) -> anyhow::Result<Case> {
    let file = SafeTensors::deserialize(bytes)?;
    let get = |name: &str| file.tensor(name).with_context(|| format!("it has no tensor `{name}`"));
    let tensors =
        op.descriptor().tensors().map(|(name, _)| tensor(&get(name)?).with_context(|| format!("operand `{name}`")));
    let tensors = tensors.collect::<anyhow::Result<Vec<_>>>()?;
    let numbers: Vec<f32> = elements(&get("scalars")?, Dtype::F32, f32::from_le_bytes)?;
    let kinds: Vec<_> = op.descriptor().scalar_kinds().collect();
    ensure!(
        kinds.len() == numbers.len(),
        "`scalars` has {} elements, expected {}: the scalars and sizes of the op",
        numbers.len(),
        kinds.len()
    );
    let outputs = op.outputs();
    let references = outputs.iter().map(|output| {
        let prefix = if outputs.len() > 1 { format!("{}.", output.name) } else { String::new() };
        let reference = get(&format!("{prefix}reference"))?;
        if reference.dtype() != Dtype::F64 {
            return Ok(Reference::Exact);
        }
        let unit = elements(&get(&format!("{prefix}unit"))?, Dtype::I16, i16::from_le_bytes)?;
        let reference = elements(&reference, Dtype::F64, f64::from_le_bytes)?;
        ensure!(unit.len() == reference.len(), "`{prefix}unit` has other elements than `{prefix}reference`");
        Ok(Reference::Rounded { reference, unit })
    });
    let references = references.collect::<anyhow::Result<Vec<_>>>()?;
    let scalars = kinds.into_iter().zip(numbers).filter_map(|(kind, number)| scalar(kind, number)).collect();
    let operands = Operands { tensors, scalars };
    Ok(Case { op: op.clone(), name, operands, golden: Some(Golden { references }) })
}

fn scalar(kind: OperandKind, value: f32) -> Option<Scalar> {
    Some(match kind {
        OperandKind::Scalar(ScalarType::F32) => value.into(),
        OperandKind::Scalar(ScalarType::I32) => (value as i32).into(),
        OperandKind::Scalar(ScalarType::U32) => (value as u32).into(),
        OperandKind::Scalar(ScalarType::Bool) => (value != 0.0).into(),
        OperandKind::Size => (value as usize).into(),
        OperandKind::Tensor(_) => return None,
    })
}

fn tensor(view: &TensorView<'_>) -> anyhow::Result<Tensor> {
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::BF16 => DType::Bf16,
        Dtype::F16 => DType::F16,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U8 => DType::U8,
        other => bail!("its elements are {other:?}, expected one of {}", DType::ALL.map(DType::name).join(", ")),
    };
    Ok(Tensor::from_bytes(TensorType::new(dtype, view.shape())?, view.data())?)
}

fn elements<T, const N: usize>(
    view: &TensorView<'_>,
    dtype: Dtype,
    parse: impl Fn([u8; N]) -> T,
) -> anyhow::Result<Vec<T>> {
    ensure!(view.dtype() == dtype, "its elements are {:?}, expected {dtype:?}", view.dtype());
    Ok(view.data().as_chunks().0.iter().map(|bytes| parse(*bytes)).collect())
}

impl Golden {
    /// The largest error of the outputs in units of the last place; none if it is infinite, or an element is NaN where the
    /// reference is not, or the other way round. Outputs that are exact have none.
    pub(super) fn error_of(&self, outputs: &[Tensor]) -> Option<f64> {
        let mut largest = 0.0_f64;
        for (reference, output) in self.references.iter().zip(outputs) {
            let Reference::Rounded { reference, unit } = reference else { continue };
            let values = gpsimd_testing::values(output);
            if values.len() != reference.len() {
                return None;
            }
            for ((value, reference), unit) in values.iter().zip(reference).zip(unit) {
                if value == reference || (value.is_nan() && reference.is_nan()) {
                    continue;
                }
                let error = (value - reference).abs() / f64::from(*unit).exp2();
                if !error.is_finite() {
                    return None;
                }
                largest = largest.max(error);
            }
        }
        Some(largest)
    }

    /// Whether an output has a reference that is rounded.
    pub(super) fn is_rounded(&self) -> bool {
        self.references.iter().any(|reference| matches!(reference, Reference::Rounded { .. }))
    }
}
