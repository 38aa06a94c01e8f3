//! A function as C++ text.

mod constants;
mod expressions;
mod statements;
#[cfg(test)]
mod tests;

pub(crate) use constants::{constant_text, type_name, u32_text};
pub(super) use expressions::ExpressionPrinter;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use wasmparser::ValType;

use super::effects::Uses;
use super::expression::Variable;
use super::statement::{self, Statement, remove_dead};
use super::{Function, Named};
use crate::cpp::{HotLines, Names, Source};
use statements::StatementPrinter;

/// Appends the definition of a function: `head` is what stands before its parameters. Returns the lines of its hot loops.
///
/// `vectors` are the hot loops, by their place in the order of the text, whose operations are counted as those of vectors.
pub(crate) fn print(
    source: &mut Source,
    mut function: Function,
    head: &str,
    names: &Names,
    vectors: &BTreeSet<usize>,
) -> Vec<HotLines> {
    let read = remove_unread(&mut function.body);
    let parameters = parameters(&function, &read);
    let _ = writeln!(source, "{head}({parameters}) {{");
    locals(&function, &read, source);
    let mut printer = StatementPrinter::new(&function, names, vectors, source);
    printer.statements(&function.body);
    let hot_loops = printer.hot_loops;
    source.append("}\n");
    hot_loops
}

/// Removes assignments that nothing reads; these may be all that reads another. Returns the variables that are read.
fn remove_unread(body: &mut Vec<Statement>) -> BTreeSet<Variable> {
    let mut read = read_variables(body);
    loop {
        remove_dead(body, &|variable| read.contains(&variable));
        let after = read_variables(body);
        if after == read {
            return read;
        }
        read = after;
    }
}

/// Variables that are read, all over the function.
fn read_variables(body: &[Statement]) -> BTreeSet<Variable> {
    let mut read = BTreeSet::new();
    statement::visit(body, &mut |statement| {
        for expression in statement::expressions(statement) {
            expression.add_variables(&mut read);
        }
        // All of its variables are assigned, so all have to be there.
        if let Statement::AssignResults(variables, _) = statement {
            read.extend(variables);
        }
    });
    read
}

fn parameters(function: &Function, read: &BTreeSet<Variable>) -> String {
    // Compilers warn about parameters that have a name and no use.
    let named = |name: &str, is_used: bool| if is_used { name.to_string() } else { format!("/* {name} */") };
    let uses = uses(&function.body);
    let mut text = format!("Instance& {}, u8* __restrict {}", named("w", uses.instance), named("m", uses.memory));
    for (i, Named { name, ty, .. }) in function.variables[..function.parameters].iter().enumerate() {
        let _ = write!(text, ", {} {}", type_name(*ty), named(name, read.contains(&(i as u32))));
    }
    text
}

/// Which of the instance and the memory statements use.
fn uses(body: &[Statement]) -> Uses {
    let mut uses = Uses::default();
    statement::visit(body, &mut |statement| {
        if matches!(statement, Statement::SetGlobal(..) | Statement::CheckStack) {
            uses.instance = true;
        }
        for expression in statement::expressions(statement) {
            uses = uses.with(expression.uses());
        }
    });
    uses
}

/// The variables that are not parameters, a line for at most 12 of a type.
fn locals(function: &Function, read: &BTreeSet<Variable>, source: &mut Source) {
    let locals = function.variables.iter().enumerate().skip(function.parameters);
    let locals: Vec<_> = locals.filter(|(i, _)| read.contains(&(*i as u32))).map(|(_, variable)| variable).collect();
    for ty in [ValType::I32, ValType::I64, ValType::F32, ValType::F64] {
        let names: Vec<_> =
            locals.iter().filter(|local| local.ty == ty).map(|local| format!("{} = 0", local.name)).collect();
        for line in names.chunks(12) {
            let _ = writeln!(source, "  {} {};", type_name(ty), line.join(", "));
        }
    }
}
