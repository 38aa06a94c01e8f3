//! What a loop does, as far as its printing depends on it: whether it ends, how often it runs, whether it is hot.

use std::collections::BTreeSet;

use wasmparser::ValType;

use super::expression::{BinaryOp, Comparison, Expression, FMA, Relation, Variable};
use super::statement::{self, Statement};

use BinaryOp::{Add, Compare, Sub};

/// Bytes of a vector register.
const VECTOR: u32 = 64;
/// Of a vector register, in f32.
const LANES: u32 = VECTOR / 4;

/// Whether a loop ends.
pub(super) enum LoopEnd {
    Always,
    /// If the first, a number of the loop's counter, is a multiple of the second, a power of two.
    If(Expression, u64),
    Unknown,
}

impl LoopEnd {
    /// A loop ends that adds a constant to a counter until this is a number that does not change, or past it: always with
    /// an odd constant, as the counter wraps around through all numbers.
    pub(super) fn of(body: &[Statement], condition: &Expression) -> Self {
        let Some((counter, end, relation)) = counter(body, condition) else { return Self::Unknown };
        let mut assignments = 0;
        // Not one of several results of a call: these are variables of their own, which nothing else assigns.
        statement::visit(body, &mut |statement| {
            assignments += usize::from(matches!(statement, Statement::Assign(to, _) if *to == counter));
        });
        let Some((Add | Sub, by)) = step(body, counter) else { return Self::Unknown };
        if assignments != 1 || by == 0 {
            return Self::Unknown;
        }
        match 1 << by.trailing_zeros() {
            1 => Self::Always,
            // What the check in its place waits for must be all that the loop does.
            power if relation == Relation::NotEqual && is_pure(body) => {
                let ty = end.ty().unwrap_or(ValType::I32);
                Self::If(Expression::binary(Sub, end.clone(), Expression::Variable(counter, ty)), power)
            }
            _ => Self::Unknown,
        }
    }
}

/// The variable that a loop changes and compares with a number that it does not change, this number, and how they
/// compare while the loop runs.
fn counter<'e>(body: &[Statement], condition: &'e Expression) -> Option<(Variable, &'e Expression, Relation)> {
    let Expression::Binary(Compare(Comparison { relation, is_signed: false }), operands) = condition else {
        return None;
    };
    // Some number is none of these, whatever the end.
    if !matches!(relation, Relation::NotEqual | Relation::Less | Relation::Greater) {
        return None;
    }
    let effects = condition.effects();
    if effects.reads_state || effects.calls {
        return None;
    }
    let assigned = statement::assigned(body);
    let (counter, end) = match &**operands {
        [Expression::Variable(counter, _), end] if assigned.contains(counter) => (*counter, end),
        [end, Expression::Variable(counter, _)] if assigned.contains(counter) => (*counter, end),
        _ => return None,
    };
    let is_fixed = !assigned.iter().any(|variable| end.reads(*variable));
    is_fixed.then_some((counter, end, *relation))
}

/// What a loop's body does to its counter: the operation, and the constant to its right.
fn step(body: &[Statement], counter: Variable) -> Option<(BinaryOp, u64)> {
    let value = body.iter().find_map(|statement| match statement {
        Statement::Assign(variable, value) if *variable == counter => Some(value),
        _ => None,
    })?;
    match value {
        Expression::Binary(op, operands) if operands[0].is(counter) => Some((*op, operands[1].integer()?)),
        _ => None,
    }
}

/// How often a loop runs whose counter goes from a constant to a constant; `before` are the statements before it.
pub(super) fn steps(before: &[Statement], body: &[Statement], condition: &Expression) -> Option<u32> {
    let (counter, end, Relation::NotEqual) = counter(body, condition)? else { return None };
    let assigns = |statement: &&Statement| statement::assigned(std::slice::from_ref(*statement)).contains(&counter);
    let Statement::Assign(_, first) = before.iter().rev().find(assigns)? else { return None };
    if body.iter().filter(|statement| matches!(statement, Statement::Assign(to, _) if *to == counter)).count() != 1 {
        return None;
    }
    let (Add, by) = step(body, counter)? else { return None };
    // Numbers of 32 bits wrap around at 2^32.
    let bits = if end.ty() == Some(ValType::I64) { u64::MAX } else { u64::from(u32::MAX) };
    let (by, distance) = (by & bits, end.integer()?.wrapping_sub(first.integer()?) & bits);
    (by != 0 && distance.is_multiple_of(by)).then(|| u32::try_from(distance / by).ok()).flatten()
}

/// Whether these statements only change variables and memory, and control leaves them at their end alone.
fn is_pure(body: &[Statement]) -> bool {
    let mut is_plain = true;
    statement::visit(body, &mut |statement| {
        is_plain &=
            matches!(statement, Statement::Assign(..) | Statement::Do(_) | Statement::Count(_) | Statement::If(..));
    });
    is_plain && !statement::any_expression(body, &|value| value.effects().traps)
}

/// Whether a loop's body has no control flow inside.
pub(super) fn is_flat(body: &[Statement]) -> bool {
    body.iter().all(|statement| matches!(statement, Statement::Assign(..) | Statement::Do(_) | Statement::Count(_)))
}

/// A loop over the elements of rows, in memory: one to make vectors of.
pub(super) struct RowLoop {
    /// Elements of a vector of what it computes with: 16 of floats, otherwise as many as there are of the largest integer.
    pub(super) lanes: u32,
    /// Elements of a vector of the largest that it loads or stores: fewer are the remainder of a row.
    pub(super) elements: u32,
}

impl RowLoop {
    /// The loop of this body, if it has no loop inside, and computes with floats that it loads, or stores integers.
    pub(super) fn of(body: &[Statement]) -> Option<Self> {
        if !is_innermost(body) {
            return None;
        }
        let is_over_floats = is_over_floats(body);
        let rows = Rows::of(body);
        let is_over_integers = rows.stores && !rows.calls;
        let elements = VECTOR / rows.widest.max(1);
        (!rows.follow_data && (is_over_floats || is_over_integers))
            .then_some(Self { lanes: if is_over_floats { LANES } else { elements }, elements })
    }
}

fn is_innermost(body: &[Statement]) -> bool {
    let mut is_innermost = true;
    statement::visit(body, &mut |statement| {
        is_innermost &= !matches!(statement, Statement::DoWhile(..) | Statement::Forever(..) | Statement::Loop(..));
    });
    is_innermost
}

/// Whether a loop's body computes with floats that it loads.
fn is_over_floats(body: &[Statement]) -> bool {
    // Elements of 8 and 16 bits, floats among them, are loaded as integers.
    let loads = |part: &Expression| match part {
        Expression::Load(access, _) => access.ty == ValType::F32 || access.bytes <= 2,
        _ => false,
    };
    let computes = |part: &Expression| match part {
        Expression::Binary(..) => part.ty() == Some(ValType::F32),
        Expression::Builtin(builtin, _) => *builtin == FMA,
        _ => is_float_store(part),
    };
    let has = |what: &dyn Fn(&Expression) -> bool| statement::any_expression(body, &|value| value.any(&what));
    has(&loads) && has(&computes)
}

/// What a loop loads and stores.
struct Rows {
    /// Whether it stores what changes from one step to the next; what is the same fills memory.
    stores: bool,
    calls: bool,
    /// An address follows from what was loaded: of a gather, of a search, of the digits of a number, or behind what was
    /// found so far.
    follow_data: bool,
    /// Bytes of the largest element.
    widest: u32,
}

impl Rows {
    fn of(body: &[Statement]) -> Self {
        let mut rows = Self { stores: false, calls: false, follow_data: false, widest: 0 };
        let assigned = statement::assigned(body);
        let changes = |value: &Expression| {
            value.any(&|part| matches!(part, Expression::Load(..)))
                || assigned.iter().any(|variable| value.reads(*variable))
        };
        let mut add = |part: &Expression| {
            let (access, address) = match part {
                Expression::Load(access, address) => (access, &**address),
                Expression::Store(access, operands) => {
                    rows.stores |= changes(&operands[1]);
                    (access, &operands[0])
                }
                Expression::Call(..) | Expression::Bulk(..) => return rows.calls = true,
                _ => return,
            };
            rows.widest = rows.widest.max(access.bytes);
            rows.follow_data |= follows_data(address, body, &mut BTreeSet::new());
        };
        statement::visit(body, &mut |statement| {
            for value in statement::expressions(statement) {
                value.visit(&mut add);
            }
        });
        rows
    }
}

/// Whether a number is computed from one that the loop loads, or by a division, as digits are. `seen` are the variables that
/// were followed.
fn follows_data(value: &Expression, body: &[Statement], seen: &mut BTreeSet<Variable>) -> bool {
    if value.any(&|part| matches!(part, Expression::Load(..) | Expression::Binary(BinaryOp::Div | BinaryOp::Rem, _))) {
        return true;
    }
    let mut variables = BTreeSet::new();
    value.add_variables(&mut variables);
    variables.into_iter().any(|variable| {
        let mut follows = false;
        if seen.insert(variable) {
            statement::visit(body, &mut |statement| {
                if let Statement::Assign(to, value) = statement
                    && *to == variable
                {
                    follows |= follows_data(value, body, seen);
                }
            });
        }
        follows
    })
}

fn is_float_store(part: &Expression) -> bool {
    matches!(part, Expression::Store(access, _) if access.ty == ValType::F32)
}
