//! A function's statements as C++ text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use wasmparser::ValType;

use super::expression::{Expression, Variable, parse_constant};
use super::operations::KINDS;
use super::short_loops::ShortLoops;
use super::statement::{self, Label, Statement, count, remove_dead};
use super::{Function, type_name};

/// The definition of a function: `head` is what stands before its parameters, `results` the type that several are.
///
/// `vectors` are the hot loops, by their place in the order of the text, whose operations are counted as those of vectors.
pub(crate) fn print(mut function: Function, head: &str, results: &str, vectors: &BTreeSet<usize>) -> String {
    // Assignments that nothing reads may be all that reads another.
    loop {
        let before = read_variables(&function.body);
        remove_dead(&mut function.body, &|variable| before.contains(&variable));
        if read_variables(&function.body) == before {
            break;
        }
    }
    let read = read_variables(&function.body);
    let mut loops = BTreeSet::new();
    statement::visit(&function.body, &mut |statement| {
        if let Statement::Forever(label, _) = statement {
            loops.insert(*label);
        }
    });
    let mut printer = Printer {
        function: &function,
        loops,
        results,
        text: String::new(),
        depth: 1,
        short_loops: ShortLoops::of(&function),
        is_short: false,
        ends: End::Unknown,
        vectors,
        hot_loops: 0,
        in_vectors: false,
    };
    printer.statements(&function.body);
    let body = printer.text;

    let named = |name: &str, is_used: bool| if is_used { name.to_string() } else { format!("/* {name} */") };
    let uses = |what: &str| body.contains(what);
    let mut parameters = vec![
        format!("Instance& {}", named("w", uses("w.") || uses("(w"))),
        format!("u8* __restrict {}", named("m", uses("(m") || uses(", m"))),
    ];
    for (i, variable) in function.variables[..function.parameters].iter().enumerate() {
        parameters.push(format!("{} {}", type_name(variable.ty), named(&variable.name, read.contains(&(i as u32)))));
    }
    let mut text = format!("{head}({}) {{\n", parameters.join(", "));
    for ty in [ValType::I32, ValType::I64, ValType::F32, ValType::F64] {
        let locals: Vec<_> = function
            .variables
            .iter()
            .enumerate()
            .skip(function.parameters)
            .filter(|(i, variable)| variable.ty == ty && read.contains(&(*i as u32)))
            .map(|(_, variable)| format!("{} = 0", variable.name))
            .collect();
        for line in locals.chunks(12) {
            let _ = writeln!(text, "  {} {};", type_name(ty), line.join(", "));
        }
    }
    text + &body + "}\n"
}

/// Variables that are read, all over the function.
fn read_variables(body: &[Statement]) -> BTreeSet<Variable> {
    let mut read = BTreeSet::new();
    statement::visit(body, &mut |statement| {
        for expression in statement::expressions(statement) {
            read.extend(&expression.reads);
        }
        match statement {
            Statement::Line(_, reads) => read.extend(reads),
            // All of its variables are assigned, so all have to be there.
            Statement::AssignResults(_, variables, _) => read.extend(variables),
            _ => {}
        }
    });
    read
}

struct Printer<'f> {
    function: &'f Function,
    /// Labels that are before loops; the others are after blocks.
    loops: BTreeSet<Label>,
    results: &'f str,
    text: String,
    depth: usize,
    short_loops: ShortLoops<'f>,
    /// The loop that comes next is known to run fewer than 16 times.
    is_short: bool,
    /// Whether it ends.
    ends: End,
    vectors: &'f BTreeSet<usize>,
    /// Hot loops so far.
    hot_loops: usize,
    /// What comes is in a loop that became vectors.
    in_vectors: bool,
}

impl Printer<'_> {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{:1$}{line}", "", self.depth * 2);
    }

    fn label(&mut self, line: &str) {
        let _ = writeln!(self.text, "{:1$}{line}", "", (self.depth - 1) * 2);
    }

    fn nested(&mut self, statements: &[Statement]) {
        self.depth += 1;
        self.statements(statements);
        self.depth -= 1;
    }

    fn statements(&mut self, statements: &[Statement]) {
        for (at, statement) in statements.iter().enumerate() {
            let steps = self.steps(&statements[..at], statement);
            self.ends = End::of(statement, self.function);
            if let End::If(distance, step) = &self.ends
                && steps.is_none()
            {
                // With another distance the counter passes its end for ever, which C++ may take not to happen.
                let line = format!("expect_multiple({distance}, {step}u);");
                self.line(&line);
            }
            if steps == Some(LANES) && is_flat(statement) {
                // Clang's vectoriser wants to be told, as such a loop is short and what it reads and writes might
                // overlap; it then compares the addresses first.
                self.line("GPSIMD_LANES");
            }
            self.is_short = steps.is_some_and(|steps| steps < LANES) || self.short_loops.contain(statement);
            self.statement(statement);
        }
    }

    /// How often a loop runs whose counter goes from a constant to a constant.
    fn steps(&self, before: &[Statement], statement: &Statement) -> Option<u32> {
        let Statement::DoWhile(body, condition) = statement else { return None };
        let [counter] = condition.reads[..] else { return None };
        let assigns = |statement: &&Statement| statement::assigned(std::slice::from_ref(*statement)).contains(&counter);
        let Some(Statement::Assign(_, first)) = before.iter().rev().find(assigns) else { return None };
        let name = self.function.name(counter);
        let mut steps = body.iter().filter_map(|statement| match statement {
            Statement::Assign(variable, value) => (*variable == counter).then_some(value.operator.as_ref()),
            _ => None,
        });
        let (step, None) = (steps.next()??, steps.next()) else { return None };
        let last = match &condition.operator {
            Some(end) if end.symbol == "!=" && end.left == name => parse_constant(&end.right)?,
            // As a condition: until it is 0.
            None if condition.text == name => 0,
            _ => return None,
        };
        let [first, step_by] = [&first.text, &step.right].map(|text| parse_constant(text));
        let (first, step_by, last) = (first? as u32, step_by? as u32, last as u32);
        let counts = step.symbol == "+" && step.left == name && step_by != 0;
        let distance = last.wrapping_sub(first);
        (counts && distance.is_multiple_of(step_by)).then(|| distance / step_by)
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Assign(variable, value) => {
                let line = Self::assignment(self.function.name(*variable), value);
                self.line(&line);
            }
            Statement::Do(value) if value.acts => self.line(&format!("{};", value.text)),
            Statement::Do(value) => self.line(&format!("(void)({});", value.text)),
            Statement::Line(line, _) => self.line(line),
            Statement::Count(block) => self.count(*block),
            Statement::AssignResults(results, variables, call) => {
                self.line("{");
                self.depth += 1;
                self.line(&format!("const {results} r = {};", call.text));
                for (i, variable) in variables.iter().enumerate() {
                    self.line(&format!("{} = r.r{i};", self.function.name(*variable)));
                }
                self.depth -= 1;
                self.line("}");
            }
            Statement::Block(label, body) => {
                self.statements(body);
                self.label(&format!("after_{label}:;"));
            }
            // Made into one of the next two before it is printed.
            Statement::Loop(label, body) | Statement::Forever(label, body) => {
                if count(body, *label) != 0 {
                    self.label(&format!("again_{label}:"));
                }
                let is_hot = is_over_floats(body);
                self.line(if is_hot { "for (;;) {  // hot" } else { "for (;;) {" });
                self.line(MAY_NOT_END);
                self.repeated(body, is_hot);
                self.line("}");
            }
            Statement::DoWhile(body, condition) => {
                let is_over_floats = is_over_floats(body);
                let is_hot = is_over_floats && !self.is_short;
                self.line(match is_over_floats {
                    true if is_hot => "do {  // hot",
                    true => "do {  // fewer than 16 times",
                    false => "do {",
                });
                if matches!(self.ends, End::Unknown) {
                    self.line(MAY_NOT_END);
                }
                self.repeated(body, is_hot);
                self.line(&format!("}} while ({});", condition.condition()));
            }
            Statement::If(condition, then, otherwise) => self.choice(condition, then, otherwise),
            Statement::Switch(index, labels, default) => self.switch(index, labels, *default),
            Statement::Goto(label) => {
                let line = self.goto(*label);
                self.line(&line);
            }
            Statement::Break => self.line("break;"),
            Statement::Continue => self.line("continue;"),
            Statement::Return(values) => match &values[..] {
                [] => self.line("return;"),
                [value] => self.line(&format!("return {};", value.value())),
                values => {
                    let values: Vec<_> = values.iter().map(Expression::value).collect();
                    self.line(&format!("return {}{{{}}};", self.results, values.join(", ")));
                }
            },
            Statement::Trap(message) => self.line(&format!("gpsimd_trap(\"{message}\");")),
        }
    }

    fn repeated(&mut self, body: &[Statement], is_hot: bool) {
        if is_hot {
            self.in_vectors = self.vectors.contains(&self.hot_loops);
            self.hot_loops += 1;
        }
        self.nested(body);
        // Hot loops have none inside.
        self.in_vectors = false;
    }

    fn count(&mut self, block: usize) {
        let among = if self.in_vectors { "vector" } else { "scalar" };
        let counts = KINDS.iter().zip(self.function.blocks[block]).filter(|(_, count)| *count != 0);
        let added: Vec<_> =
            counts.map(|(kind, count)| format!("gpsimd_operations_here.{among}.{kind} += {count};")).collect();
        self.line(&added.join(" "));
    }

    fn assignment(name: &str, value: &Expression) -> String {
        if let Some(operator) = &value.operator
            && !value.is_bool
            && operator.left == name
            && operator.symbol != "compares floats"
        {
            return format!("{name} {}= {};", operator.symbol, unparenthesized(&operator.right));
        }
        format!("{name} = {};", value.value())
    }

    fn choice(&mut self, condition: &Expression, then: &[Statement], otherwise: &[Statement]) {
        self.line(&format!("if ({}) {{", condition.condition()));
        self.nested(then);
        let mut rest = otherwise;
        // A chain, not a staircase.
        while let [Statement::If(condition, then, otherwise)] = rest {
            self.line(&format!("}} else if ({}) {{", condition.condition()));
            self.nested(then);
            rest = otherwise;
        }
        if !rest.is_empty() {
            self.line("} else {");
            self.nested(rest);
        }
        self.line("}");
    }

    fn switch(&mut self, index: &Expression, labels: &[Label], default: Label) {
        self.line(&format!("switch ({}) {{", index.value()));
        self.depth += 1;
        for (i, label) in labels.iter().enumerate() {
            if *label != default {
                let line = format!("case {i}u: {}", self.goto(*label));
                self.line(&line);
            }
        }
        let line = format!("default: {}", self.goto(default));
        self.line(&line);
        self.depth -= 1;
        self.line("}");
    }

    fn goto(&self, label: Label) -> String {
        format!("goto {}_{label};", if self.loops.contains(&label) { "again" } else { "after" })
    }
}

/// Stands in a loop that may not end: without it, C++ lets a compiler take it that the loop does, and delete it.
const MAY_NOT_END: &str = "  __asm__ volatile(\"\");";

/// Whether a loop ends.
enum End {
    Always,
    /// If the first, a number of the loop's counter, is a multiple of the second, a power of two.
    If(String, u64),
    Unknown,
}

impl End {
    /// A loop ends that adds a constant to a counter until this is a number that does not change, or past it: always with
    /// an odd constant, as the counter wraps around through all numbers.
    fn of(statement: &Statement, function: &Function) -> Self {
        let Statement::DoWhile(body, condition) = statement else { return Self::Unknown };
        let assigned = statement::assigned(body);
        let changed: Vec<_> = condition.reads.iter().copied().filter(|variable| assigned.contains(variable)).collect();
        let [counter] = changed[..] else { return Self::Unknown };
        if condition.reads_state || condition.acts {
            return Self::Unknown;
        }
        let name = function.name(counter);
        let (end, is_equal) = match &condition.operator {
            // Some number is none of these, whatever the end.
            Some(end) if matches!(end.symbol, "!=" | "<" | ">") && end.left == name => {
                (&*end.right, end.symbol == "!=")
            }
            Some(end) if matches!(end.symbol, "!=" | "<" | ">") && end.right == name => {
                (&*end.left, end.symbol == "!=")
            }
            None if condition.text == name => ("0u", true),
            _ => return Self::Unknown,
        };
        let mut assignments = 0;
        statement::visit(body, &mut |statement| {
            assignments += usize::from(statement::assigns(statement, counter));
        });
        let step = body.iter().find_map(|statement| match statement {
            Statement::Assign(variable, value) if *variable == counter => Some(value.operator.as_ref()),
            _ => None,
        });
        let Some(Some(step)) = step else { return Self::Unknown };
        let counts = matches!(step.symbol, "+" | "-") && step.left == name && assignments == 1;
        let Some(by) = parse_constant(&step.right).filter(|by| counts && *by != 0) else { return Self::Unknown };
        match 1 << by.trailing_zeros() {
            1 => Self::Always,
            // What the check in its place waits for must be all that the loop does.
            power if is_equal && is_pure(body) => Self::If(format!("{end} - {name}"), power),
            _ => Self::Unknown,
        }
    }
}

/// Whether these statements only change variables and memory, and control leaves them at their end alone.
fn is_pure(body: &[Statement]) -> bool {
    let mut is_plain = true;
    statement::visit(body, &mut |statement| {
        is_plain &=
            matches!(statement, Statement::Assign(..) | Statement::Do(_) | Statement::Count(_) | Statement::If(..));
    });
    is_plain && !statement::any_expression(body, &|value| value.traps || value.text.contains("(w, m"))
}

/// Whether a statement is a loop without control flow inside, which stores floats.
fn is_flat(statement: &Statement) -> bool {
    let Statement::DoWhile(body, _) = statement else { return false };
    body.iter().all(|statement| matches!(statement, Statement::Assign(..) | Statement::Do(_) | Statement::Count(_)))
        && statement::any_expression(body, &|value| value.text.contains("f32_store"))
}

/// Whether a loop's body has no loop inside, and computes with floats that it loads.
fn is_over_floats(body: &[Statement]) -> bool {
    let mut is_innermost = true;
    statement::visit(body, &mut |statement| {
        is_innermost &= !matches!(statement, Statement::DoWhile(..) | Statement::Forever(..) | Statement::Loop(..));
    });
    let loads = |value: &Expression| value.text.contains("f32_load") || value.text.contains("load16_u");
    let computes = |value: &Expression| {
        let is_float = value.ty == ValType::F32 && value.operator.is_some();
        is_float || value.text.contains("__builtin_fmaf") || value.text.contains("f32_store")
    };
    is_innermost && statement::any_expression(body, &loads) && statement::any_expression(body, &computes)
}

/// Of a vector register, in f32.
const LANES: u32 = 16;

/// An operand of `+=`, which binds looser than any operator.
fn unparenthesized(operand: &str) -> &str {
    let inner = operand.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    match inner {
        // One pair around all of it, and not two side by side.
        Some(inner) if !inner.contains(['(', ')']) => inner,
        _ => operand,
    }
}
