//! Constants, and the names of their types, in C++.

use wasmparser::ValType;

use crate::module::Constant;

/// The C++ type of a value.
pub(crate) fn type_name(ty: ValType) -> &'static str {
    match ty {
        ValType::I64 => "u64",
        ValType::F32 => "f32",
        ValType::F64 => "f64",
        // No other types are accepted.
        _ => "u32",
    }
}

/// A constant, to the bit.
pub(crate) fn constant_text(value: Constant) -> String {
    match value {
        Constant::I32(value) => u32_text(value),
        Constant::I64(value) if value < 65_536 => format!("u64({value})"),
        Constant::I64(value) => format!("u64({value:#x})"),
        Constant::F32(bits) => match f32::from_bits(bits) {
            value if value.is_finite() => format!("{value:?}f"),
            _ => format!("f32_reinterpret_i32({bits:#x}u)"),
        },
        Constant::F64(bits) => match f64::from_bits(bits) {
            value if value.is_finite() => format!("{value:?}"),
            _ => format!("f64_reinterpret_i64(u64({bits:#x}))"),
        },
    }
}

/// A constant of type u32.
pub(crate) fn u32_text(value: u32) -> String {
    if value < 65_536 { format!("{value}u") } else { format!("{value:#x}u") }
}
