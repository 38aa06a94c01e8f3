//! [`ShortLoops`]: loops over the remainder of a row after whole vectors, fewer than 16 steps.

use std::collections::{BTreeMap, BTreeSet};

use super::expression::{BinaryOp, Expression, Variable};
use super::statement::{self, Label, Statement};

/// Variables that are below 16, wherever control comes from; `None` where it does not come at all.
type Below16 = Option<BTreeSet<Variable>>;

/// Finds them by following what is below 16 through a function: `n & 15`, copies of that, and that in bytes.
pub(super) struct ShortLoops {
    loops: BTreeSet<*const Statement>,
    here: Below16,
    /// After blocks, by the gotos that lead there.
    after: BTreeMap<Label, Below16>,
    /// After the loops that this is in, by what leaves them; the innermost last.
    after_loops: Vec<Below16>,
}

impl ShortLoops {
    /// Those of a function's body.
    pub(super) fn of(body: &[Statement]) -> Self {
        let mut found = Self {
            loops: BTreeSet::new(),
            here: Some(BTreeSet::new()),
            after: BTreeMap::new(),
            after_loops: Vec::new(),
        };
        found.follow_all(body);
        found
    }

    /// Whether a statement of the function is such a loop.
    pub(super) fn contain(&self, statement: &Statement) -> bool {
        self.loops.contains(&std::ptr::from_ref(statement))
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
                    && below.contains(&counter)
                {
                    self.loops.insert(std::ptr::from_ref(statement));
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
        let is_below = match value {
            Expression::Variable(of, _) => below.contains(of),
            Expression::Binary(BinaryOp::And, operands) => operands[1].integer() == Some(15),
            Expression::Binary(BinaryOp::Shl, _) => value.only_variable().is_some_and(|of| below.contains(&of)),
            _ => false,
        };
        if is_below {
            below.insert(variable);
        } else {
            below.remove(&variable);
        }
    }

    fn forget(&mut self, variables: &BTreeSet<Variable>) {
        if let Some(below) = &mut self.here {
            below.retain(|variable| !variables.contains(variable));
        }
    }
}

/// What holds where control comes from both.
fn meet(here: &mut Below16, there: Below16) {
    *here = match (here.take(), there) {
        (Some(here), Some(there)) => Some(here.intersection(&there).copied().collect()),
        (here, there) => here.or(there),
    };
}
