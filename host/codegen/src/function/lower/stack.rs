//! The operand stack: values that are not computed yet, and when they have to be.

use crate::function::expression::{Expression, Variable};
use crate::function::statement::Statement;

use super::{ExpressionPrinter, Lowering};

/// Longer expressions, in characters, become a statement, for the reader's sake.
const LONGEST: usize = 110;

impl Lowering<'_, '_> {
    pub(super) fn push(&mut self, expression: Expression) {
        let printer = ExpressionPrinter { names: self.names, variables: &self.variables };
        let is_long = !expression.operands().is_empty() && printer.length(&expression) > LONGEST;
        self.stack.push(expression);
        if is_long {
            let last = self.stack.len() - 1;
            self.settle(|at, _| at == last);
        }
    }

    /// The operand on top. The module is valid: there is one.
    pub(super) fn pop(&mut self) -> Expression {
        self.stack.pop().unwrap_or(Expression::u32(0))
    }

    pub(super) fn pop_many(&mut self, count: usize) -> Vec<Expression> {
        let at = self.stack.len().saturating_sub(count);
        self.stack.split_off(at)
    }

    /// Operands of an instruction, of which at most the last may trap: C++ evaluates operands in any order.
    pub(super) fn pop_in_order(&mut self, count: usize) -> Vec<Expression> {
        self.order(count);
        self.pop_many(count)
    }

    /// Two of them.
    pub(super) fn pop_pair(&mut self) -> [Expression; 2] {
        self.order(2);
        let right = self.pop();
        [self.pop(), right]
    }

    fn order(&mut self, count: usize) {
        let first = self.stack.len().saturating_sub(count);
        if self.stack[first..].iter().filter(|operand| operand.effects().traps).count() > 1 {
            let last = self.stack.len() - 1;
            self.settle(|at, operand| at >= first && at < last && operand.effects().traps);
        }
    }

    /// Assigns the chosen values on the stack to variables, in order, and with them all below that may trap.
    pub(super) fn settle(&mut self, chosen: impl Fn(usize, &Expression) -> bool) {
        let Some(last) = (0..self.stack.len()).rev().find(|at| chosen(*at, &self.stack[*at])) else { return };
        for at in 0..=last {
            let expression = &self.stack[at];
            if chosen(at, expression) || expression.effects().traps {
                self.settle_one(at);
            }
        }
    }

    fn settle_one(&mut self, at: usize) {
        // What has no value is not on the stack.
        let Some(ty) = self.stack[at].ty() else { return };
        let variable = self.temporary(ty);
        let read = self.read(variable);
        let value = std::mem::replace(&mut self.stack[at], read);
        self.current.push(Statement::Assign(variable, value));
    }

    /// The variable that an expression is, if it is one that no instruction assigns.
    fn as_temporary(&self, expression: &Expression) -> Option<Variable> {
        match expression {
            Expression::Variable(variable, _) => self.variables[*variable as usize].is_temporary.then_some(*variable),
            _ => None,
        }
    }

    /// Before something changes linear memory or a global, or may leave this code for good.
    pub(super) fn settle_state(&mut self) {
        self.settle(|_, expression| expression.effects().is_ordered());
    }

    /// Before blocks, in which any variable may change.
    pub(super) fn settle_all(&mut self) {
        let temporaries: Vec<_> = self.stack.iter().map(|value| self.as_temporary(value).is_some()).collect();
        self.settle(|at, value| value.effects().is_ordered() || (!temporaries[at] && value.reads_variables()));
    }

    pub(super) fn assign(&mut self, variable: Variable, value: Expression) {
        // Traps stay in order.
        let traps = value.effects().traps;
        self.settle(|_, expression| expression.reads(variable) || (traps && expression.effects().traps));
        if value.is(variable) {
            return;
        }
        // A call's result goes where it is wanted, without a stop.
        let temporary = self.as_temporary(&value);
        if let Some(Statement::Assign(target, call)) = self.current.last_mut()
            && call.effects().acts()
            && temporary == Some(*target)
            && !self.stack.iter().any(|expression| expression.reads(*target))
        {
            *target = variable;
            return;
        }
        self.current.push(Statement::Assign(variable, value));
    }

    /// Assigns what is on top of the stack to the targets of a branch; the values stay there.
    pub(super) fn pass(&mut self, targets: &[Variable]) {
        if targets.is_empty() {
            return;
        }
        let at = self.stack.len() - targets.len();
        // One after the other: none may read a target.
        self.settle(|_, expression| targets.iter().any(|target| expression.reads(*target)));
        self.settle(|index, expression| index >= at && expression.effects().traps);
        for (i, target) in targets.iter().enumerate() {
            let value = self.stack[at + i].clone();
            if !value.is(*target) {
                self.current.push(Statement::Assign(*target, value));
            }
        }
    }

    /// Before a branch: what may trap and is left behind on the stack traps now.
    pub(super) fn settle_state_but(&mut self, top: usize) {
        let below = self.stack.len().saturating_sub(top);
        self.settle(|at, expression| at < below && expression.effects().traps);
    }
}
