//! Expressions as C++ text, with the parentheses that C++ needs.

use std::fmt::{self, Display, Formatter, Write};

use super::constants::{constant_text, u32_text};
use crate::cpp::Names;
use crate::function::Named;
use crate::function::expression::{BinaryOp, Callee, Comparison, Expression, Relation};
use crate::function::instruction::Access;

use BinaryOp::{Add, And, Compare, Div, Mul, Or, Rem, Shl, Shr, Sub, Xor};
use wasmparser::ValType::I64;

/// Prints the expressions of a function.
#[derive(Clone, Copy)]
pub(in crate::function) struct ExpressionPrinter<'f> {
    pub(in crate::function) names: &'f Names,
    pub(in crate::function) variables: &'f [Named],
}

/// An expression that is about to be printed.
pub(super) struct Shown<'f> {
    printer: ExpressionPrinter<'f>,
    expression: &'f Expression,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    /// What WebAssembly has: a number, where conditions are 1 or 0.
    Number,
    /// What C++ has: conditions are bools.
    Plain,
}

impl<'f> ExpressionPrinter<'f> {
    /// As a number.
    pub(super) const fn number(self, expression: &'f Expression) -> Shown<'f> {
        Shown { printer: self, expression, form: Form::Number }
    }

    /// As a condition, or for its effect.
    pub(super) const fn plain(self, expression: &'f Expression) -> Shown<'f> {
        Shown { printer: self, expression, form: Form::Plain }
    }

    /// How many characters an expression has.
    pub(in crate::function) fn length(self, expression: &Expression) -> usize {
        struct Length(usize);
        impl Write for Length {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0 += text.len();
                Ok(())
            }
        }
        let mut length = Length(0);
        // Counting does not fail.
        let _ = self.print(expression, Form::Plain, &mut length);
        length.0
    }

    fn print(self, expression: &Expression, form: Form, out: &mut impl Write) -> fmt::Result {
        match (expression, form) {
            (condition, Form::Number) if condition.is_condition() => {
                out.write_str("u32(")?;
                self.print(condition, Form::Plain, out)?;
                out.write_str(")")
            }
            (Expression::Constant(value), _) => out.write_str(&constant_text(*value)),
            (Expression::Variable(variable, _), _) => out.write_str(&self.variables[*variable as usize].name),
            (Expression::Global(global, _), _) => write!(out, "w.{}", self.names.global(*global)),
            (Expression::MemoryPages, _) => out.write_str("w.memory_bytes >> 16"),
            // Of a comparison, which binds looser.
            (Expression::Not(condition), _) => {
                out.write_str("!(")?;
                self.print(condition, Form::Plain, out)?;
                out.write_str(")")
            }
            (Expression::Binary(op, operands), _) => self.binary(*op, operands, out),
            (Expression::Builtin(builtin, operands), _) => {
                write!(out, "{}(", builtin.name)?;
                self.arguments(operands, out)
            }
            (Expression::Load(access, address), _) => {
                self.access(*access, address, out)?;
                out.write_str(")")
            }
            (Expression::Store(access, operands), _) => {
                let [address, value] = &**operands;
                self.access(*access, address, out)?;
                out.write_str(", ")?;
                self.print(value, Form::Number, out)?;
                out.write_str(")")
            }
            (Expression::Bulk(bulk, operands), _) => {
                write!(out, "{}{}, ", bulk.name, if bulk.is_checked { "_checked(w, m" } else { "(m" })?;
                self.arguments(operands, out)
            }
            (Expression::Call(call, operands), _) => {
                match call.callee {
                    Callee::Function(function) => out.write_str(self.names.function(function))?,
                    Callee::Table(ty) => write!(out, "call_indirect_{ty}")?,
                }
                out.write_str(if operands.is_empty() { "(w, m" } else { "(w, m, " })?;
                self.arguments(operands, out)
            }
            (Expression::Select(operands), _) => {
                let [condition, yes, no] = &**operands;
                self.print(condition, Form::Plain, out)?;
                out.write_str(" ? ")?;
                self.choice(yes, out)?;
                out.write_str(" : ")?;
                self.choice(no, out)
            }
        }
    }

    /// Numbers with commas between them, and the end of the call.
    fn arguments(self, operands: &[Expression], out: &mut impl Write) -> fmt::Result {
        for (place, operand) in operands.iter().enumerate() {
            if place > 0 {
                out.write_str(", ")?;
            }
            self.print(operand, Form::Number, out)?;
        }
        out.write_str(")")
    }

    /// The call of a load or store as far as the offset.
    fn access(self, access: Access, address: &Expression, out: &mut impl Write) -> fmt::Result {
        let Access { name, bytes, offset, is_aligned, is_checked, .. } = access;
        let offset = u32_text(offset);
        write!(out, "{name}{}(m, ", if is_aligned { "" } else { "_unaligned" })?;
        if is_checked {
            out.write_str("check(w, ")?;
        }
        self.print(address, Form::Number, out)?;
        if is_checked {
            write!(out, ", {offset}, {bytes})")?;
        }
        write!(out, ", {offset}")
    }

    fn binary(self, op: BinaryOp, operands: &[Expression; 2], out: &mut impl Write) -> fmt::Result {
        let [left, right] = operands;
        if let Compare(Comparison { is_signed: true, .. }) = op {
            let signed = if left.ty() == Some(I64) { "i64" } else { "i32" };
            write!(out, "{signed}(")?;
            self.print(left, Form::Number, out)?;
            write!(out, ") {} {signed}(", symbol(op))?;
            self.print(right, Form::Number, out)?;
            return out.write_str(")");
        }
        self.operand(op, Side::Left, left, out)?;
        write!(out, " {} ", symbol(op))?;
        self.right(op, operands, Side::Right, out)
    }

    /// The right operand, as that of an operator or alone.
    fn right(self, op: BinaryOp, operands: &[Expression; 2], side: Side, out: &mut impl Write) -> fmt::Result {
        let [left, right] = operands;
        if !matches!(op, Shl | Shr) {
            return self.operand(op, side, right, out);
        }
        // C++ leaves shifts by the width and more undefined.
        let mask = if left.ty() == Some(I64) { 63 } else { 31 };
        if let Some(distance) = right.integer() {
            return write!(out, "{}", distance & mask);
        }
        let (open, close) = if matches!(side, Side::Alone) { ("", "") } else { ("(", ")") };
        out.write_str(open)?;
        self.operand(And, Side::Left, right, out)?;
        write!(out, " & {mask}u{close}")
    }

    fn operand(self, op: BinaryOp, side: Side, operand: &Expression, out: &mut impl Write) -> fmt::Result {
        let needs_parentheses = match (operand, side) {
            // A condition as a number is a call.
            (_, Side::Alone) | (Expression::Binary(Compare(_), _), _) => false,
            (Expression::Select(_), _) => true,
            (Expression::MemoryPages, _) => clash(Shr, op, side),
            (Expression::Binary(inner, _), _) => clash(*inner, op, side),
            _ => false,
        };
        if !needs_parentheses {
            return self.print(operand, Form::Number, out);
        }
        out.write_str("(")?;
        self.print(operand, Form::Number, out)?;
        out.write_str(")")
    }

    /// A value of a selection; one inside another has parentheses for the reader's sake.
    fn choice(self, value: &Expression, out: &mut impl Write) -> fmt::Result {
        if matches!(value, Expression::Select(_)) {
            out.write_str("(")?;
            self.print(value, Form::Number, out)?;
            return out.write_str(")");
        }
        self.print(value, Form::Number, out)
    }
}

impl Display for Shown<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.printer.print(self.expression, self.form, out)
    }
}

/// What `variable op= right` has on its right.
pub(super) struct Change<'f> {
    pub(super) printer: ExpressionPrinter<'f>,
    pub(super) op: BinaryOp,
    pub(super) operands: &'f [Expression; 2],
}

impl Display for Change<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}= ", symbol(self.op))?;
        self.printer.right(self.op, self.operands, Side::Alone, out)
    }
}

/// Where an operand is.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
    /// Of an assignment, which binds loosest.
    Alone,
}

/// Whether `inner` needs parentheses as an operand of `outer`: C++ would take it apart, or compilers warn that people
/// might, which they do of shifts and bitwise operations beside others.
fn clash(inner: BinaryOp, outer: BinaryOp, side: Side) -> bool {
    let binds_looser = match side {
        Side::Left => precedence(inner) < precedence(outer),
        Side::Right => precedence(inner) <= precedence(outer),
        Side::Alone => false,
    };
    binds_looser || (inner != outer && (is_bitwise(inner) || is_bitwise(outer)))
}

/// How tightly an operator binds its operands.
fn precedence(op: BinaryOp) -> u32 {
    match op {
        Mul | Div | Rem => 7,
        Add | Sub => 6,
        Shl | Shr => 5,
        Compare(comparison) if comparison.relation.is_equality() => 3,
        Compare(_) => 4,
        And => 2,
        Xor => 1,
        Or => 0,
    }
}

const fn is_bitwise(op: BinaryOp) -> bool {
    matches!(op, Shl | Shr | And | Xor | Or)
}

const fn symbol(op: BinaryOp) -> &'static str {
    match op {
        Add => "+",
        Sub => "-",
        Mul => "*",
        Div => "/",
        Rem => "%",
        And => "&",
        Or => "|",
        Xor => "^",
        Shl => "<<",
        Shr => ">>",
        Compare(comparison) => match comparison.relation {
            Relation::Equal => "==",
            Relation::NotEqual => "!=",
            Relation::Less => "<",
            Relation::Greater => ">",
            Relation::LessOrEqual => "<=",
            Relation::GreaterOrEqual => ">=",
        },
    }
}
