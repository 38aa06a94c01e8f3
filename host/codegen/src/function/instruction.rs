//! The numeric and memory instructions: what they take, what they return, and what they are in the tree.

use wasmparser::{Operator, ValType};

use super::expression::{BinaryOp, Comparison, Relation};

use ValType::{F32, F64, I32, I64};

/// An instruction on numbers alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Numeric {
    pub(super) operands: usize,
    pub(super) result: ValType,
    pub(super) form: Form,
    /// Whether it traps for some operands, divisions aside.
    pub(super) traps: bool,
}

/// What an instruction is in the tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    Binary(BinaryOp),
    /// `i32.eqz` or `i64.eqz`.
    IsZero,
    /// A division of integers, which traps for some divisors; the operation that it is for the others, if it is one.
    Division(Option<BinaryOp>),
    /// A function of the prelude with the instruction's name.
    Builtin,
}

/// A load or store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Access {
    /// Of the instruction, and of its function in the prelude.
    pub(super) name: &'static str,
    /// Of the value on the stack.
    pub(super) ty: ValType,
    pub(super) bytes: u32,
    pub(super) is_store: bool,
    /// Is added to the address.
    pub(super) offset: u32,
    /// Whether the address is promised to be a multiple of `bytes`.
    pub(super) is_aligned: bool,
    /// Whether the bounds of the memory are checked.
    pub(super) is_checked: bool,
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
    let binary = |op| (2, ty, Form::Binary(op));
    let compare = |relation, is_signed| (2, I32, Form::Binary(BinaryOp::Compare(Comparison { relation, is_signed })));
    let (operands, result, form) = match what {
        "add" => binary(BinaryOp::Add),
        "sub" => binary(BinaryOp::Sub),
        "mul" => binary(BinaryOp::Mul),
        "div" => binary(BinaryOp::Div),
        "and" => binary(BinaryOp::And),
        "or" => binary(BinaryOp::Or),
        "xor" => binary(BinaryOp::Xor),
        "shl" => binary(BinaryOp::Shl),
        "shr_u" => binary(BinaryOp::Shr),
        "eq" => compare(Relation::Equal, false),
        "ne" => compare(Relation::NotEqual, false),
        "lt" | "lt_u" => compare(Relation::Less, false),
        "gt" | "gt_u" => compare(Relation::Greater, false),
        "le" | "le_u" => compare(Relation::LessOrEqual, false),
        "ge" | "ge_u" => compare(Relation::GreaterOrEqual, false),
        "lt_s" => compare(Relation::Less, true),
        "gt_s" => compare(Relation::Greater, true),
        "le_s" => compare(Relation::LessOrEqual, true),
        "ge_s" => compare(Relation::GreaterOrEqual, true),
        "eqz" => (1, I32, Form::IsZero),
        "div_u" => (2, ty, Form::Division(Some(BinaryOp::Div))),
        "rem_u" => (2, ty, Form::Division(Some(BinaryOp::Rem))),
        "div_s" | "rem_s" => (2, ty, Form::Division(None)),
        "shr_s" | "rotl" | "rotr" | "min" | "max" | "copysign" => (2, ty, Form::Builtin),
        "const" => return None,
        _ if what.contains("load") || what.contains("store") => return None,
        _ => (1, ty, Form::Builtin),
    };
    let traps = is_int && what.starts_with("trunc_") && !what.starts_with("trunc_sat");
    Some(Numeric { operands, result, form, traps })
}

/// What a load or store is, unchecked; none if `operator` is not one.
pub(super) fn access(operator: &Operator<'_>) -> Option<Access> {
    macro_rules! table {
        ($($op:ident $ty:ident $bytes:literal $is_store:literal)*) => {
            match *operator {
                $(Operator::$op { memarg } => Some(Access {
                    name: name(operator),
                    ty: $ty,
                    bytes: $bytes,
                    is_store: $is_store,
                    offset: memarg.offset as u32,
                    is_aligned: 1u32 << memarg.align >= $bytes,
                    is_checked: false,
                }),)*
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
