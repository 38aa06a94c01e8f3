//! [`Expression`]: a value of WebAssembly, or an effect, as the tree of what computes it.

use wasmparser::ValType;

use super::instruction::Access;
use crate::module::Constant;

use ValType::{F32, F64, I32, I64};

/// A variable of a function: an index into its list, locals first.
pub(super) type Variable = u32;

/// A tree of operations with WebAssembly's meaning. How C++ says it is the printer's matter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Constant(Constant),
    Variable(Variable, ValType),
    /// A mutable global of the module, by its index.
    Global(u32, ValType),
    /// The size of the memory in pages, which never changes.
    MemoryPages,
    /// The negation of a condition.
    Not(Box<Self>),
    /// Left and right operand.
    Binary(BinaryOp, Box<[Self; 2]>),
    Builtin(Builtin, Vec<Self>),
    /// From an address.
    Load(Access, Box<Self>),
    /// Address and value.
    Store(Access, Box<[Self; 2]>),
    /// Start, source or byte, and length.
    Bulk(Bulk, Vec<Self>),
    Call(Call, Vec<Self>),
    /// A condition, and the values where it holds and where it does not.
    Select(Box<[Self; 3]>),
}

/// An operation that C++ has an operator for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    And,
    Or,
    Xor,
    /// By a distance modulo the width, as WebAssembly shifts.
    Shl,
    /// Unsigned; the distance as of `Shl`.
    Shr,
    Compare(Comparison),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) relation: Relation,
    /// Of integers with a sign.
    pub(super) is_signed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
}

/// A function of numbers alone: an instruction that the prelude defines, or one that the compiler knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Builtin {
    pub(super) name: &'static str,
    pub(super) result: ValType,
    pub(super) traps: bool,
}

/// An instruction on a range of the memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bulk {
    pub(super) name: &'static str,
    /// Whether the bounds of the memory are checked.
    pub(super) is_checked: bool,
}

/// A call of a function of the module or of an import.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) callee: Callee,
    /// The type of the result; none of no result, and of several.
    pub(super) result: Option<ValType>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Callee {
    Function(u32),
    /// Through the table: a type. The last operand is the place.
    Table(u32),
}

/// Multiply and add with one rounding.
pub(super) const FMA: Builtin = Builtin { name: "__builtin_fmaf", result: F32, traps: false };
/// Square root.
pub(super) const SQRT: Builtin = Builtin { name: "__builtin_sqrtf", result: F32, traps: false };

impl Expression {
    pub(super) const fn u32(value: u32) -> Self {
        Self::Constant(Constant::I32(value))
    }

    pub(super) fn binary(op: BinaryOp, left: Self, right: Self) -> Self {
        Self::Binary(op, Box::new([left, right]))
    }

    /// `left relation right` of floats, or of integers without a sign.
    pub(super) fn compare(relation: Relation, left: Self, right: Self) -> Self {
        Self::binary(BinaryOp::Compare(Comparison { relation, is_signed: false }), left, right)
    }

    /// What it is computed from.
    pub(super) fn operands(&self) -> &[Self] {
        match self {
            Self::Constant(_) | Self::Variable(..) | Self::Global(..) | Self::MemoryPages => &[],
            Self::Not(operand) | Self::Load(_, operand) => std::slice::from_ref(operand),
            Self::Binary(_, operands) | Self::Store(_, operands) => &operands[..],
            Self::Select(operands) => &operands[..],
            Self::Builtin(_, operands) | Self::Bulk(_, operands) | Self::Call(_, operands) => operands,
        }
    }

    /// The type of the value; none if it has none.
    pub(super) fn ty(&self) -> Option<ValType> {
        Some(match self {
            Self::Constant(Constant::I32(_))
            | Self::MemoryPages
            | Self::Not(_)
            | Self::Binary(BinaryOp::Compare(_), _) => I32,
            Self::Constant(Constant::I64(_)) => I64,
            Self::Constant(Constant::F32(_)) => F32,
            Self::Constant(Constant::F64(_)) => F64,
            Self::Variable(_, ty) | Self::Global(_, ty) => *ty,
            Self::Binary(_, operands) => return operands[0].ty(),
            Self::Builtin(builtin, _) => builtin.result,
            Self::Load(access, _) => access.ty,
            Self::Store(..) | Self::Bulk(..) => return None,
            Self::Call(call, _) => return call.result,
            Self::Select(operands) => return operands[1].ty(),
        })
    }

    /// Whether it or a part of it is as asked.
    pub(super) fn any(&self, is: &impl Fn(&Self) -> bool) -> bool {
        is(self) || self.operands().iter().any(|operand| operand.any(is))
    }

    /// The number, of an integer constant.
    pub(super) const fn integer(&self) -> Option<u64> {
        match self {
            Self::Constant(Constant::I32(value)) => Some(*value as u64),
            Self::Constant(Constant::I64(value)) => Some(*value),
            _ => None,
        }
    }

    /// Whether it is a variable, and nothing else.
    pub(super) fn is(&self, variable: Variable) -> bool {
        matches!(self, Self::Variable(this, _) if *this == variable)
    }

    /// Whether it is a truth value, 1 or 0 in WebAssembly.
    pub(super) const fn is_condition(&self) -> bool {
        matches!(self, Self::Not(_) | Self::Binary(BinaryOp::Compare(_), _))
    }

    /// Whether it is not zero.
    pub(super) fn into_condition(self) -> Self {
        if self.is_condition() { self } else { Self::compare(Relation::NotEqual, self, Self::u32(0)) }
    }

    /// Whether it is zero.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Not(condition) => *condition,
            Self::Binary(BinaryOp::Compare(comparison), operands) => {
                let is_float = matches!(operands[0].ty(), Some(F32 | F64));
                match comparison.relation.opposite() {
                    // Not `<` negated is not `>=`: NaN.
                    _ if is_float && !comparison.relation.is_equality() => {
                        Self::Not(Box::new(Self::Binary(BinaryOp::Compare(comparison), operands)))
                    }
                    relation => Self::Binary(BinaryOp::Compare(Comparison { relation, ..comparison }), operands),
                }
            }
            value => Self::compare(Relation::Equal, value, Self::u32(0)),
        }
    }
}

impl Relation {
    pub(super) const fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }

    /// What holds of ordered numbers where this does not.
    const fn opposite(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::Greater => Self::LessOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::GreaterOrEqual => Self::Less,
        }
    }
}
