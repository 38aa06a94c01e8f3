//! [`Statement`]: the body of a function as structured C++ control flow.

use std::collections::BTreeSet;

use super::expression::{Expression, Variable};

/// A place that branches lead to: the end of a block, or the start of a loop.
pub(super) type Label = u32;

#[derive(Clone, Debug)]
pub(super) enum Statement {
    /// `variable = value;`
    Assign(Variable, Expression),
    /// `value;`, for its effect.
    Do(Expression),
    /// Assigns a mutable global, by its index.
    SetGlobal(u32, Expression),
    /// Checks the stack pointer, which was moved.
    CheckStack,
    /// Counts the operations of a basic block: an index into [`super::Function::blocks`].
    Count(usize),
    /// A call with several results: `{ const Results r = call; a = r.r0; .. }`
    AssignResults(Vec<Variable>, Expression),
    /// The label is after the body.
    Block(Label, Vec<Statement>),
    /// The label is before the body, which is left at its end.
    Loop(Label, Vec<Statement>),
    /// `for (;;) { .. }`; the label is before it, if it is needed.
    Forever(Label, Vec<Statement>),
    /// `do { .. } while (condition);`
    DoWhile(Vec<Statement>, Expression),
    /// A condition, and what is done where it holds and where it does not.
    If(Expression, Vec<Statement>, Vec<Statement>),
    /// Labels by index, and the one for all others.
    Switch(Expression, Vec<Label>, Label),
    Goto(Label),
    Break,
    Continue,
    Return(Vec<Expression>),
    Trap(&'static str),
}

use Statement::{
    Assign, AssignResults, Block, Break, CheckStack, Continue, Count, Do, DoWhile, Forever, Goto, If, Loop, Return,
    SetGlobal, Switch, Trap,
};

/// Whether control never gets past a statement, as far as its last line shows.
pub(super) fn never_ends(statement: &Statement) -> bool {
    match statement {
        Goto(_) | Break | Continue | Return(_) | Trap(_) | Switch(..) => true,
        If(_, then, otherwise) => then.last().is_some_and(never_ends) && otherwise.last().is_some_and(never_ends),
        Forever(_, body) => !breaks(body),
        _ => false,
    }
}

/// Whether a loop's body has a break of that loop.
fn breaks(body: &[Statement]) -> bool {
    body.iter().any(|statement| match statement {
        Break => true,
        If(_, then, otherwise) => breaks(then) || breaks(otherwise),
        Block(_, inner) => breaks(inner),
        _ => false,
    })
}

/// How many gotos lead to `label`.
pub(super) fn count(body: &[Statement], label: Label) -> usize {
    let mut found = 0;
    visit(body, &mut |statement| match statement {
        Goto(to) if *to == label => found += 1,
        Switch(_, labels, default) => {
            found += labels.iter().chain([default]).filter(|to| **to == label).count();
        }
        _ => {}
    });
    found
}

/// Calls `see` with every statement, outer ones first.
pub(super) fn visit<'s>(body: &'s [Statement], see: &mut impl FnMut(&'s Statement)) {
    for statement in body {
        see(statement);
        match statement {
            Block(_, inner) | Loop(_, inner) | Forever(_, inner) | DoWhile(inner, _) => visit(inner, see),
            If(_, then, otherwise) => {
                visit(then, see);
                visit(otherwise, see);
            }
            _ => {}
        }
    }
}

/// The expressions of a statement, not of those inside it.
pub(super) fn expressions(statement: &Statement) -> Vec<&Expression> {
    match statement {
        Assign(_, value) | Do(value) | SetGlobal(_, value) | AssignResults(_, value) => vec![value],
        DoWhile(_, condition) | If(condition, ..) | Switch(condition, ..) => vec![condition],
        Return(values) => values.iter().collect(),
        Count(_) | CheckStack | Block(..) | Loop(..) | Forever(..) | Goto(_) | Break | Continue | Trap(_) => Vec::new(),
    }
}

/// Whether an expression of these statements, or inside them, is as asked.
pub(super) fn any_expression(body: &[Statement], is: &impl Fn(&Expression) -> bool) -> bool {
    let mut found = false;
    visit(body, &mut |statement| found |= expressions(statement).into_iter().any(is));
    found
}

/// Variables that these statements assign, or those inside them.
pub(super) fn assigned(body: &[Statement]) -> BTreeSet<Variable> {
    let mut variables = BTreeSet::new();
    visit(body, &mut |statement| match statement {
        Assign(variable, _) => {
            variables.insert(*variable);
        }
        AssignResults(several, _) => variables.extend(several),
        _ => {}
    });
    variables
}

/// Removes assignments to variables that nothing reads.
pub(super) fn remove_dead(body: &mut Vec<Statement>, is_read: &impl Fn(Variable) -> bool) {
    body.retain_mut(|statement| {
        match statement {
            Assign(variable, value) if !is_read(*variable) => {
                let effects = value.effects();
                if !effects.acts() && !effects.traps {
                    return false;
                }
                *statement = Do(value.clone());
            }
            Block(_, inner) | Loop(_, inner) | Forever(_, inner) | DoWhile(inner, _) => remove_dead(inner, is_read),
            If(_, then, otherwise) => {
                remove_dead(then, is_read);
                remove_dead(otherwise, is_read);
            }
            _ => {}
        }
        true
    });
}
