//! The numeric and memory instructions: what they take, what they give, and how C++ says them.

use wasmparser::{MemArg, Operator, ValType};

use ValType::{F32, F64, I32, I64};

/// An instruction on numbers alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Numeric {
    pub(super) operands: usize,
    pub(super) result: ValType,
    pub(super) form: Form,
    pub(super) traps: bool,
}

/// How C++ says an instruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// `a + b`
    Infix(&'static str),
    /// `a << (b & 31u)`; the mask.
    Shift(&'static str, u32),
    /// `a < b`, a bool.
    Compare(&'static str),
    /// `i32(a) < i32(b)`, a bool; the signed type.
    CompareSigned(&'static str, &'static str),
    /// `a == 0u`, a bool.
    IsZero,
    /// A function of the prelude with the instruction's name.
    Call,
}

/// A load or store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// Of the value on the stack.
    pub(super) ty: ValType,
    pub(super) bytes: u32,
    pub(super) is_store: bool,
    pub(super) arg: MemArg,
}

macro_rules! name_operators {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// The proposal that brought an instruction, and its name: `visit_i32_add`.
        fn proposal_and_visitor(operator: &Operator<'_>) -> (&'static str, &'static str) {
            match operator {
                $(Operator::$op { .. } => (stringify!($proposal), stringify!($visit)),)*
                _ => ("simd", "visit_simd"),
            }
        }
    };
}
wasmparser::for_each_operator!(name_operators);

/// The name of an instruction with `_` for `.`: `i32_add`.
pub(super) fn name(operator: &Operator<'_>) -> &'static str {
    let visitor = proposal_and_visitor(operator).1;
    visitor.strip_prefix("visit_").unwrap_or(visitor)
}

/// What a numeric instruction is; none if `operator` is no such instruction, or one that is not accepted.
pub(super) fn numeric(operator: &Operator<'_>) -> Option<Numeric> {
    if !matches!(proposal_and_visitor(operator).0, "mvp" | "sign_extension" | "saturating_float_to_int") {
        return None;
    }
    let (ty, what) = name(operator).split_once('_')?;
    let ty = match ty {
        "i32" => I32,
        "i64" => I64,
        "f32" => F32,
        "f64" => F64,
        _ => return None,
    };
    let is_int = matches!(ty, I32 | I64);
    let signed = if ty == I32 { "i32" } else { "i64" };
    let (operands, result, form) = match what {
        "add" => (2, ty, Form::Infix("+")),
        "sub" => (2, ty, Form::Infix("-")),
        "mul" => (2, ty, Form::Infix("*")),
        "div" => (2, ty, Form::Infix("/")),
        "and" => (2, ty, Form::Infix("&")),
        "or" => (2, ty, Form::Infix("|")),
        "xor" => (2, ty, Form::Infix("^")),
        "shl" => (2, ty, Form::Shift("<<", if ty == I32 { 31 } else { 63 })),
        "shr_u" => (2, ty, Form::Shift(">>", if ty == I32 { 31 } else { 63 })),
        "eq" => (2, I32, Form::Compare("==")),
        "ne" => (2, I32, Form::Compare("!=")),
        "lt" | "lt_u" => (2, I32, Form::Compare("<")),
        "gt" | "gt_u" => (2, I32, Form::Compare(">")),
        "le" | "le_u" => (2, I32, Form::Compare("<=")),
        "ge" | "ge_u" => (2, I32, Form::Compare(">=")),
        "lt_s" => (2, I32, Form::CompareSigned("<", signed)),
        "gt_s" => (2, I32, Form::CompareSigned(">", signed)),
        "le_s" => (2, I32, Form::CompareSigned("<=", signed)),
        "ge_s" => (2, I32, Form::CompareSigned(">=", signed)),
        "eqz" => (1, I32, Form::IsZero),
        "div_s" | "div_u" | "rem_s" | "rem_u" | "shr_s" | "rotl" | "rotr" | "min" | "max" | "copysign" => {
            (2, ty, Form::Call)
        }
        "const" => return None,
        _ if what.contains("load") || what.contains("store") => return None,
        _ => (1, ty, Form::Call),
    };
    let is_saturating = what.starts_with("trunc_sat");
    let traps = is_int && (what.starts_with("div") || what.starts_with("rem") || what.starts_with("trunc_"));
    Some(Numeric { operands, result, form, traps: traps && !is_saturating })
}

/// What a load or store is; none if `operator` is no such instruction.
pub(super) fn access(operator: &Operator<'_>) -> Option<Access> {
    macro_rules! table {
        ($($op:ident $ty:ident $bytes:literal $is_store:literal)*) => {
            match *operator {
                $(Operator::$op { memarg } => Some(Access { ty: $ty, bytes: $bytes, is_store: $is_store, arg: memarg }),)*
                _ => None,
            }
        };
    }
    table! {
        I32Load I32 4 false I64Load I64 8 false F32Load F32 4 false F64Load F64 8 false
        I32Load8S I32 1 false I32Load8U I32 1 false I32Load16S I32 2 false I32Load16U I32 2 false
        I64Load8S I64 1 false I64Load8U I64 1 false I64Load16S I64 2 false I64Load16U I64 2 false
        I64Load32S I64 4 false I64Load32U I64 4 false
        I32Store I32 4 true I64Store I64 8 true F32Store F32 4 true F64Store F64 8 true
        I32Store8 I32 1 true I32Store16 I32 2 true
        I64Store8 I64 1 true I64Store16 I64 2 true I64Store32 I64 4 true
    }
}
