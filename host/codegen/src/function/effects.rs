//! [`Effects`]: what evaluating an expression does besides giving its value, and so what it may be moved past.

use std::collections::BTreeSet;

use super::expression::{Expression, Variable};

/// Effects of an expression, with those of all its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four things that an expression may do, each on its own")]
pub(super) struct Effects {
    /// Reads the memory or a mutable global.
    pub(super) reads_state: bool,
    pub(super) writes_memory: bool,
    pub(super) traps: bool,
    pub(super) calls: bool,
}

impl Effects {
    /// Whether it does something even if nobody wants its value.
    pub(super) const fn acts(self) -> bool {
        self.writes_memory || self.calls
    }

    /// Whether it must stay before a write of the memory or a global, a call, or the end of the function.
    pub(super) const fn is_ordered(self) -> bool {
        self.reads_state || self.traps
    }

    const fn with(self, other: Self) -> Self {
        Self {
            reads_state: self.reads_state || other.reads_state,
            writes_memory: self.writes_memory || other.writes_memory,
            traps: self.traps || other.traps,
            calls: self.calls || other.calls,
        }
    }
}

impl Expression {
    pub(super) fn effects(&self) -> Effects {
        let none = Effects::default();
        let own = match self {
            Self::Constant(_)
            | Self::Variable(..)
            | Self::MemoryPages
            | Self::Not(_)
            | Self::Binary(..)
            | Self::Select(_) => none,
            Self::Global(..) => Effects { reads_state: true, ..none },
            Self::Builtin(builtin, _) => Effects { traps: builtin.traps, ..none },
            Self::Load(access, _) => Effects { reads_state: true, traps: access.is_checked, ..none },
            Self::Store(access, _) => Effects { writes_memory: true, traps: access.is_checked, ..none },
            Self::Bulk(bulk, _) => Effects { reads_state: true, writes_memory: true, traps: bulk.is_checked, ..none },
            // Whatever the function does.
            Self::Call(..) => Effects { reads_state: true, writes_memory: true, traps: true, calls: true },
        };
        self.operands().iter().fold(own, |effects, operand| effects.with(operand.effects()))
    }

    /// Whether it reads a variable.
    pub(super) fn reads(&self, variable: Variable) -> bool {
        self.any(&|part| part.is(variable))
    }

    /// Whether it reads one variable or more.
    pub(super) fn reads_variables(&self) -> bool {
        self.any(&|part| matches!(part, Self::Variable(..)))
    }

    /// Adds the variables that it reads.
    pub(super) fn add_variables(&self, variables: &mut BTreeSet<Variable>) {
        if let Self::Variable(variable, _) = self {
            variables.insert(*variable);
        }
        for operand in self.operands() {
            operand.add_variables(variables);
        }
    }

    /// The variable that it reads, if it reads one alone and once.
    pub(super) fn only_variable(&self) -> Option<Variable> {
        let mut variables = Vec::new();
        self.visit(&mut |part| {
            if let Self::Variable(variable, _) = part {
                variables.push(*variable);
            }
        });
        if let [variable] = variables[..] { Some(variable) } else { None }
    }

    pub(super) fn visit(&self, see: &mut impl FnMut(&Self)) {
        see(self);
        for operand in self.operands() {
            operand.visit(see);
        }
    }

    /// Whether it needs the function's parameters `w`, the instance, and `m`, the memory.
    pub(super) fn uses(&self) -> Uses {
        let own = match self {
            Self::Global(..) | Self::MemoryPages => Uses { instance: true, memory: false },
            Self::Load(access, _) | Self::Store(access, _) => Uses { instance: access.is_checked, memory: true },
            Self::Bulk(bulk, _) => Uses { instance: bulk.is_checked, memory: true },
            Self::Call(..) => Uses { instance: true, memory: true },
            _ => Uses::default(),
        };
        self.operands().iter().fold(own, |uses, operand| uses.with(operand.uses()))
    }
}

/// Which of the parameters are used that every function has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    pub(super) instance: bool,
    pub(super) memory: bool,
}

impl Uses {
    pub(super) const fn with(self, other: Self) -> Self {
        Self { instance: self.instance || other.instance, memory: self.memory || other.memory }
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::ValType::{F32, I32};

    use super::*;
    use crate::function::expression::{BinaryOp, Builtin, Bulk, Call, Callee};
    use crate::function::instruction::Access;

    fn load(is_checked: bool) -> Expression {
        let access =
            Access { name: "f32_load", ty: F32, bytes: 4, is_store: false, offset: 0, is_aligned: true, is_checked };
        Expression::Load(access, Box::new(Expression::Variable(3, I32)))
    }

    fn sum(left: Expression, right: Expression) -> Expression {
        Expression::binary(BinaryOp::Add, left, right)
    }

    #[test]
    fn an_expression_does_all_that_its_parts_do() {
        let none = Effects::default();
        let reads = Effects { reads_state: true, ..none };
        let traps = Effects { traps: true, ..none };
        let quotient = Builtin { name: "i32_div_u", result: I32, traps: true };
        let quotient = Expression::Builtin(quotient, vec![Expression::u32(1), Expression::Variable(3, I32)]);
        for (expression, expected) in [
            (sum(Expression::u32(1), Expression::Variable(3, I32)), none),
            (Expression::MemoryPages, none),
            (sum(Expression::u32(1), Expression::Global(0, I32)), reads),
            (sum(load(false), load(false)), reads),
            (load(true), Effects { traps: true, ..reads }),
            (quotient.clone(), traps),
            (sum(load(false), quotient.clone()).negated(), Effects { traps: true, ..reads }),
            (Expression::Select(Box::new([quotient.into_condition(), load(false), load(false)])), {
                Effects { traps: true, ..reads }
            }),
        ] {
            assert_eq!(expression.effects(), expected, "{expression:?}");
            assert!(!expression.effects().acts(), "{expression:?}");
        }
    }

    #[test]
    fn writes_and_calls_act() {
        let fill = Bulk { name: "memory_fill", is_checked: false };
        let call = Call { callee: Callee::Function(0), result: None };
        for expression in [Expression::Bulk(fill, Vec::new()), Expression::Call(call, Vec::new())] {
            assert!(expression.effects().acts() && expression.effects().is_ordered(), "{expression:?}");
            assert_eq!(expression.uses(), Uses { instance: expression.effects().calls, memory: true });
        }
    }

    #[test]
    fn variables_are_found_everywhere_in_a_tree() {
        let expression = sum(load(false), Expression::Variable(5, F32));
        assert!(expression.reads(3) && expression.reads(5) && !expression.reads(0));
        assert_eq!(expression.only_variable(), None);
        assert_eq!(load(false).only_variable(), Some(3));
        assert_eq!(sum(load(false), load(false)).only_variable(), None, "read twice");
    }
}
