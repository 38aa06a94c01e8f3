//! [`ShortLoops`]: loops over the remainder of a row after whole vectors, fewer steps than a vector has elements.

use std::collections::{BTreeMap, BTreeSet};

use super::expression::{BinaryOp, Comparison, Expression, Relation, Variable};
use super::statement::{self, Label, Statement};

/// Variables that are below a number, wherever control comes from; `None` where it does not come at all.
type Below = Option<BTreeMap<Variable, u64>>;

/// Finds them by following what is below 16, 32 or 64 through a function: `n & 15`, copies of that, and that in bytes.
pub(super) struct ShortLoops {
    /// With what their steps are fewer than.
    loops: BTreeMap<*const Statement, u64>,
    here: Below,
    /// After blocks, by the gotos that lead there.
    after: BTreeMap<Label, Below>,
    /// After the loops that this is in, by what leaves them; the innermost last.
    after_loops: Vec<Below>,
}

impl ShortLoops {
    /// Those of a function's body.
    pub(super) fn of(body: &[Statement]) -> Self {
        let mut found = Self {
            loops: BTreeMap::new(),
            here: Some(BTreeMap::new()),
            after: BTreeMap::new(),
            after_loops: Vec::new(),
        };
        found.follow_all(body);
        found
    }

    /// Whether a statement of the function is such a loop, where a vector has so many elements.
    pub(super) fn contain(&self, statement: &Statement, lanes: u32) -> bool {
        self.loops.get(&std::ptr::from_ref(statement)).is_some_and(|steps| *steps <= u64::from(lanes))
    }

    fn follow_all(&mut self, statements: &[Statement]) {
        for statement in statements {
            self.follow(statement);
        }
    }

    fn follow(&mut self, statement: &Statement) {
        match statement {
            Statement::Assign(variable, value) => self.assign(*variable, value),
            Statement::AssignResults(variables, _) => self.forget(&variables.iter().copied().collect()),
            Statement::Do(_) | Statement::SetGlobal(..) | Statement::CheckStack | Statement::Count(_) => {}
            Statement::Block(label, body) => {
                self.follow_all(body);
                let jumped = self.after.remove(label).flatten();
                meet(&mut self.here, jumped);
            }
            Statement::If(_, then, otherwise) => {
                let before = self.here.clone();
                self.follow_all(then);
                let after = std::mem::replace(&mut self.here, before);
                self.follow_all(otherwise);
                meet(&mut self.here, after);
            }
            Statement::Loop(_, body) => self.repeat(body, true),
            Statement::Forever(_, body) => self.repeat(body, false),
            Statement::DoWhile(body, condition) => {
                if let (Some(counter), Some(below)) = (condition.only_variable(), &self.here)
                    && let Some(steps) = below.get(&counter)
                {
                    self.loops.insert(std::ptr::from_ref(statement), *steps);
                }
                self.repeat(body, true);
            }
            Statement::Switch(_, labels, default) => {
                for label in labels.iter().chain([default]) {
                    meet(self.after.entry(*label).or_default(), self.here.clone());
                }
                self.here = None;
            }
            Statement::Goto(label) => {
                let here = self.here.take();
                meet(self.after.entry(*label).or_default(), here);
            }
            Statement::Break | Statement::Continue => {
                let here = self.here.take();
                if let Some(after) = self.after_loops.last_mut() {
                    meet(after, here);
                }
            }
            Statement::Return(_) | Statement::Trap(_) => self.here = None,
        }
    }

    /// A loop, which is left at its end, too, if it `ends`. Later in the body is also before it.
    fn repeat(&mut self, body: &[Statement], ends: bool) {
        self.forget(&statement::assigned(body));
        self.after_loops.push(None);
        self.follow_all(body);
        if !ends {
            self.here = None;
        }
        let left = self.after_loops.pop().flatten();
        meet(&mut self.here, left);
    }

    fn assign(&mut self, variable: Variable, value: &Expression) {
        let Some(below) = &mut self.here else { return };
        let bound = bound(value, below);
        match bound {
            Some(bound) => below.insert(variable, bound),
            None => below.remove(&variable),
        };
    }

    fn forget(&mut self, variables: &BTreeSet<Variable>) {
        if let Some(below) = &mut self.here {
            below.retain(|variable, _| !variables.contains(variable));
        }
    }
}

/// What a value is below: a variable, what the bits of a mask hold, that in bytes, the lesser of two.
fn bound(value: &Expression, below: &BTreeMap<Variable, u64>) -> Option<u64> {
    match value {
        Expression::Variable(of, _) => below.get(of).copied(),
        Expression::Binary(BinaryOp::And, operands) => {
            operands[1].integer().filter(|mask| matches!(mask, 15 | 31 | 63)).map(|mask| mask + 1)
        }
        Expression::Binary(BinaryOp::Shl, _) => value.only_variable().and_then(|of| below.get(&of).copied()),
        Expression::Select(operands) if is_lesser(operands) => {
            [&operands[1], &operands[2]].into_iter().filter_map(|operand| bound(operand, below)).min()
        }
        _ => None,
    }
}

/// Whether a choice, by its condition, is that of the lesser number.
fn is_lesser([condition, first, second]: &[Expression; 3]) -> bool {
    let Expression::Binary(BinaryOp::Compare(Comparison { relation, is_signed: false }), operands) = condition else {
        return false;
    };
    match relation {
        Relation::Less | Relation::LessOrEqual => operands[0] == *first && operands[1] == *second,
        Relation::Greater | Relation::GreaterOrEqual => operands[1] == *first && operands[0] == *second,
        _ => false,
    }
}

/// What holds where control comes from both.
fn meet(here: &mut Below, there: Below) {
    *here = match (here.take(), there) {
        (Some(here), Some(there)) => {
            let greater = |(variable, bound): (Variable, u64)| Some((variable, bound.max(*there.get(&variable)?)));
            Some(here.into_iter().filter_map(greater).collect())
        }
        (here, there) => here.or(there),
    };
}
