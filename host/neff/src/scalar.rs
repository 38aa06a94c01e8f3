//! Scalars and sizes of a call: what JSON says, as what an op takes.

use gpsimd_emulator::Scalar;
use gpsimd_emulator::gpsimd_descriptor::{OperandDescriptor, OperandKind, ScalarType};
use serde_json::Value;

/// A value that a scalar or size cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scalar `{name}` is {found}, expected {expected}")]
pub struct ScalarError {
    /// The scalar or size.
    pub name: String,
    /// What it can be.
    pub expected: &'static str,
    /// What the graph says, cut short.
    pub found: String,
}

/// The value for `operand`, which is a scalar or a size. An f32 is rounded, as Rust rounds a literal; nothing else is.
pub(crate) fn of(operand: &OperandDescriptor, value: &Value) -> Result<Scalar, ScalarError> {
    let (scalar, expected) = match operand.kind {
        OperandKind::Scalar(ScalarType::F32) => {
            let float = value.as_f64().map(|value| value as f32).filter(|value| value.is_finite());
            (float.map(Scalar::F32), "a number that is finite as an f32")
        }
        OperandKind::Scalar(ScalarType::I32) => {
            let integer = value.as_i64().and_then(|value| value.try_into().ok());
            (integer.map(Scalar::I32), "an integer from -2147483648 to 2147483647 (i32)")
        }
        OperandKind::Scalar(ScalarType::U32) => {
            let integer = value.as_u64().and_then(|value| value.try_into().ok());
            (integer.map(Scalar::U32), "an integer from 0 to 4294967295 (u32)")
        }
        OperandKind::Scalar(ScalarType::Bool) => (value.as_bool().map(Scalar::Bool), "true or false"),
        OperandKind::Size | OperandKind::Tensor(_) => {
            let size = value.as_u64().and_then(|value| value.try_into().ok());
            (size.map(Scalar::Size), "an integer of at least 0 (a size)")
        }
    };
    scalar.ok_or_else(|| ScalarError { name: operand.name.clone(), expected, found: shown(value) })
}

/// A value as JSON, cut short: a graph may say anything.
fn shown(value: &Value) -> String {
    const MAX: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
