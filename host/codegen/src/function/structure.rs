//! Blocks, loops and branches as people write them.

use super::statement::Statement::{Block, Break, Continue, Do, DoWhile, Forever, Goto, If, Loop};
use super::statement::{Label, Statement, count, never_ends};

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
                    if condition.effects().traps {
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
            if condition.effects().traps {
                body.push(Do(condition));
            }
        } else if then.is_empty() {
            let (negated, otherwise) = (condition.clone().negated(), std::mem::take(otherwise));
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
