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
    /// Any other line; its variables are read.
    Line(String, Vec<Variable>),
    /// Counts the operations of a basic block: an index into [`super::Function::blocks`].
    Count(usize),
    /// A call with several results: `{ const Results r = call; a = r.r0; .. }`
    AssignResults(String, Vec<Variable>, Expression),
    /// The label is after the body.
    Block(Label, Vec<Statement>),
    /// The label is before the body, which is left at its end.
    Loop(Label, Vec<Statement>),
    /// `for (;;) { .. }`; the label is before it, if it is needed.
    Forever(Label, Vec<Statement>),
    /// `do { .. } while (condition);`
    DoWhile(Vec<Statement>, Expression),
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
    Assign, AssignResults, Block, Break, Continue, Count, Do, DoWhile, Forever, Goto, If, Line, Loop, Return, Switch,
    Trap,
};

/// How deep a chain of branches out of one block may be nested as ifs; a longer one stays a list of gotos.
const DEEPEST_CHAIN: usize = 3;

/// Blocks and loops as people write them. Branches that fit nothing remain gotos, out of scopes and forward, or to the
/// start of a loop that they are in.
pub(super) fn structure(statements: Vec<Statement>) -> Vec<Statement> {
    let mut structured = Vec::new();
    for statement in statements {
        match statement {
            Block(label, body) => structured.extend(block(label, structure(body))),
            Loop(label, body) => structured.extend(repetition(label, structure(body))),
            If(condition, then, otherwise) => match (structure(then), structure(otherwise)) {
                (then, otherwise) if then.is_empty() && otherwise.is_empty() => {
                    if condition.acts || condition.traps {
                        structured.push(Do(condition));
                    }
                }
                (then, otherwise) if then.is_empty() => structured.push(If(condition.negated(), otherwise, Vec::new())),
                (then, otherwise) => structured.push(If(condition, then, otherwise)),
            },
            other => structured.push(other),
        }
        if structured.last().is_some_and(never_ends) {
            // What follows is reached through labels of enclosing blocks alone, and these are not in this list.
            break;
        }
    }
    structured
}

fn block(label: Label, mut body: Vec<Statement>) -> Vec<Statement> {
    drop_tail(&mut body, label);
    if count(&body, label) == 0 {
        return body;
    }
    if let Some(Forever(_, inner) | DoWhile(inner, _)) = body.last_mut() {
        replace_exits(inner, label, true, &|| Break);
    }
    let mut nested = body.clone();
    if nest(&mut nested, label, DEEPEST_CHAIN) {
        return nested;
    }
    if count(&body, label) == 0 { body } else { vec![Block(label, body)] }
}

/// Turns the branches of a body to its end into ifs around what they skip. Gives whether none is left.
fn nest(body: &mut Vec<Statement>, label: Label, depth: usize) -> bool {
    drop_tail(body, label);
    if count(body, label) == 0 {
        return true;
    }
    if depth == 0 {
        return false;
    }
    let skips = |statement: &Statement| match statement {
        If(_, then, otherwise) => otherwise.is_empty() && matches!(then.last(), Some(Goto(to)) if *to == label),
        _ => false,
    };
    let Some(at) = body.iter().position(skips) else { return false };
    if body[..at].iter().any(|statement| count(std::slice::from_ref(statement), label) != 0) {
        return false;
    }
    let mut rest = body.split_off(at + 1);
    if !nest(&mut rest, label, depth - 1) {
        return false;
    }
    let Some(If(condition, mut then, _)) = body.pop() else { return false };
    then.pop();
    if count(&then, label) != 0 {
        return false;
    }
    body.push(if then.is_empty() { If(condition.negated(), rest, Vec::new()) } else { If(condition, then, rest) });
    true
}

/// Removes branches to `label` where control gets there anyway.
fn drop_tail(body: &mut Vec<Statement>, label: Label) {
    while matches!(body.last(), Some(Goto(to)) if *to == label) {
        body.pop();
    }
    if let Some(If(condition, then, otherwise)) = body.last_mut() {
        drop_tail(then, label);
        drop_tail(otherwise, label);
        if then.is_empty() && otherwise.is_empty() {
            let condition = condition.clone();
            body.pop();
            if condition.acts || condition.traps {
                body.push(Do(condition));
            }
        } else if then.is_empty() {
            let (negated, otherwise) = (condition.negated(), std::mem::take(otherwise));
            body.pop();
            body.push(If(negated, otherwise, Vec::new()));
        }
    } else if let Some(Block(_, inner)) = body.last_mut() {
        drop_tail(inner, label);
    }
}

fn repetition(label: Label, mut body: Vec<Statement>) -> Vec<Statement> {
    let again = |statement: &Statement| match statement {
        If(_, then, otherwise) => otherwise.is_empty() && matches!(then[..], [Goto(to)] if to == label),
        _ => false,
    };
    if count(&body, label) == 1
        && let Some(at) = body.iter().position(again)
    {
        // What comes after the branch is after the loop.
        let mut after = body.split_off(at);
        if let If(condition, ..) = after.remove(0) {
            return std::iter::once(DoWhile(body, condition)).chain(after).collect();
        }
    }
    if matches!(body.last(), Some(Goto(to)) if *to == label) {
        body.pop();
    } else if !body.last().is_some_and(never_ends) {
        body.push(Break);
    }
    replace_exits(&mut body, label, true, &|| Continue);
    vec![Forever(label, body)]
}

/// Replaces branches to `label` that are in no inner loop.
fn replace_exits(body: &mut [Statement], label: Label, top: bool, with: &impl Fn() -> Statement) {
    for statement in body {
        match statement {
            Goto(to) if *to == label && top => *statement = with(),
            If(_, then, otherwise) => {
                replace_exits(then, label, top, with);
                replace_exits(otherwise, label, top, with);
            }
            Block(_, inner) => replace_exits(inner, label, top, with),
            _ => {}
        }
    }
}

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
        Assign(_, value) | Do(value) | AssignResults(_, _, value) => vec![value],
        DoWhile(_, condition) | If(condition, ..) | Switch(condition, ..) => vec![condition],
        Return(values) => values.iter().collect(),
        Count(_) | Line(..) | Block(..) | Loop(..) | Forever(..) | Goto(_) | Break | Continue | Trap(_) => Vec::new(),
    }
}

/// Whether an expression of these statements, or inside them, is as asked.
pub(super) fn any_expression(body: &[Statement], is: &impl Fn(&Expression) -> bool) -> bool {
    let mut found = false;
    visit(body, &mut |statement| found |= expressions(statement).into_iter().any(is));
    found
}

/// Whether a statement itself assigns a variable.
pub(super) fn assigns(statement: &Statement, variable: Variable) -> bool {
    match statement {
        Assign(assigned, _) => *assigned == variable,
        AssignResults(_, several, _) => several.contains(&variable),
        _ => false,
    }
}

/// Variables that these statements assign, or those inside them.
pub(super) fn assigned(body: &[Statement]) -> BTreeSet<Variable> {
    let mut variables = BTreeSet::new();
    visit(body, &mut |statement| match statement {
        Assign(variable, _) => {
            variables.insert(*variable);
        }
        AssignResults(_, several, _) => variables.extend(several),
        _ => {}
    });
    variables
}

/// Removes assignments to variables that nothing reads.
pub(super) fn remove_dead(body: &mut Vec<Statement>, is_read: &impl Fn(Variable) -> bool) {
    body.retain_mut(|statement| {
        match statement {
            Assign(variable, value) if !is_read(*variable) => {
                if !value.acts && !value.traps {
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
