//! [`StatementPrinter`]: statements as C++ text.

use std::collections::BTreeSet;
use std::fmt::{Arguments, Write as _};

use super::expressions::{Change, ExpressionPrinter};
use crate::cpp::{HotLines, Names, Source, results_name};
use crate::function::Function;
use crate::function::expression::{BinaryOp, Expression, Variable};
use crate::function::loops::{self, LoopEnd, RowLoop};
use crate::function::operations::KINDS;
use crate::function::short_loops::ShortLoops;
use crate::function::statement::{self, Label, Statement, count};

/// Stands in a loop that may not end: without it, C++ lets a compiler take it that the loop does, and delete it.
const MAY_NOT_END: &str = "  __asm__ volatile(\"\");";

/// Prints the statements of a function.
pub(super) struct StatementPrinter<'f> {
    function: &'f Function,
    expressions: ExpressionPrinter<'f>,
    /// Labels that are before loops; the others are after blocks.
    loops: BTreeSet<Label>,
    short_loops: ShortLoops,
    vectors: &'f BTreeSet<usize>,
    source: &'f mut Source,
    depth: usize,
    /// Lines of the hot loops so far.
    pub(super) hot_loops: Vec<HotLines>,
    /// What comes is in a loop that is vectorised.
    in_vectors: bool,
}

impl<'f> StatementPrinter<'f> {
    pub(super) fn new(
        function: &'f Function,
        names: &'f Names,
        vectors: &'f BTreeSet<usize>,
        source: &'f mut Source,
    ) -> Self {
        let mut loops = BTreeSet::new();
        statement::visit(&function.body, &mut |statement| {
            if let Statement::Forever(label, _) = statement {
                loops.insert(*label);
            }
        });
        Self {
            function,
            expressions: ExpressionPrinter { names, variables: &function.variables },
            loops,
            short_loops: ShortLoops::of(&function.body),
            vectors,
            source,
            depth: 1,
            hot_loops: Vec::new(),
            in_vectors: false,
        }
    }

    pub(super) fn statements(&mut self, statements: &[Statement]) {
        for (at, statement) in statements.iter().enumerate() {
            self.statement(&statements[..at], statement);
        }
    }

    fn line(&mut self, line: Arguments<'_>) {
        let _ = writeln!(self.source, "{:1$}{line}", "", self.depth * 2);
    }

    fn label(&mut self, line: Arguments<'_>) {
        let _ = writeln!(self.source, "{:1$}{line}", "", (self.depth - 1) * 2);
    }

    fn nested(&mut self, statements: &[Statement]) {
        self.depth += 1;
        self.statements(statements);
        self.depth -= 1;
    }

    fn name(&self, variable: Variable) -> &'f str {
        self.function.name(variable)
    }

    /// A statement; `before` are those before it.
    fn statement(&mut self, before: &[Statement], statement: &Statement) {
        let print = self.expressions;
        match statement {
            Statement::Assign(variable, value) => self.assignment(*variable, value),
            Statement::Do(value) if value.effects().acts() => self.line(format_args!("{};", print.plain(value))),
            Statement::Do(value) => self.line(format_args!("(void)({});", print.plain(value))),
            Statement::SetGlobal(global, value) => {
                self.line(format_args!("w.{} = {};", print.names.global(*global), print.number(value)));
            }
            Statement::CheckStack => self.line(format_args!("check_stack(w);")),
            Statement::Count(block) => self.count(*block),
            Statement::AssignResults(variables, call) => self.results(variables, call),
            Statement::Block(label, body) => {
                self.statements(body);
                self.label(format_args!("after_{label}:;"));
            }
            // The first is made into the second or into `DoWhile` before it is printed.
            Statement::Loop(label, body) | Statement::Forever(label, body) => self.forever(*label, body),
            Statement::DoWhile(body, condition) => self.do_while(before, statement, body, condition),
            Statement::If(condition, then, otherwise) => self.choice(condition, then, otherwise),
            Statement::Switch(index, labels, default) => self.switch(index, labels, *default),
            Statement::Goto(label) => {
                let place = self.place(*label);
                self.line(format_args!("goto {place}_{label};"));
            }
            Statement::Break => self.line(format_args!("break;")),
            Statement::Continue => self.line(format_args!("continue;")),
            Statement::Return(values) => match &values[..] {
                [] => self.line(format_args!("return;")),
                [value] => self.line(format_args!("return {};", print.number(value))),
                values => {
                    let values: Vec<_> = values.iter().map(|value| print.number(value).to_string()).collect();
                    let results = results_name(&self.function.results);
                    self.line(format_args!("return {results}{{{}}};", values.join(", ")));
                }
            },
            Statement::Trap(message) => self.line(format_args!("gpsimd_trap(\"{message}\");")),
        }
    }

    fn assignment(&mut self, variable: Variable, value: &Expression) {
        let (printer, name) = (self.expressions, self.name(variable));
        match value {
            Expression::Binary(op, operands) if !matches!(op, BinaryOp::Compare(_)) && operands[0].is(variable) => {
                self.line(format_args!("{name} {};", Change { printer, op: *op, operands }));
            }
            _ => self.line(format_args!("{name} = {};", printer.number(value))),
        }
    }

    fn results(&mut self, variables: &[Variable], call: &Expression) {
        let types: Vec<_> = variables.iter().map(|variable| self.function.variables[*variable as usize].ty).collect();
        self.line(format_args!("{{"));
        self.depth += 1;
        self.line(format_args!("const {} r = {};", results_name(&types), self.expressions.plain(call)));
        for (i, variable) in variables.iter().enumerate() {
            self.line(format_args!("{} = r.r{i};", self.name(*variable)));
        }
        self.depth -= 1;
        self.line(format_args!("}}"));
    }

    fn forever(&mut self, label: Label, body: &[Statement]) {
        if count(body, label) != 0 {
            self.label(format_args!("again_{label}:"));
        }
        let lanes = RowLoop::of(body).map(|row| row.lanes);
        let first = self.source.next_line();
        self.line(format_args!("for (;;) {{{}", if lanes.is_some() { "  // hot" } else { "" }));
        self.line(format_args!("{MAY_NOT_END}"));
        self.repeated(body, lanes.is_some());
        self.line(format_args!("}}"));
        self.note(first, lanes);
    }

    fn do_while(&mut self, before: &[Statement], whole: &Statement, body: &[Statement], condition: &Expression) {
        let steps = loops::steps(before, body, condition);
        let end = LoopEnd::of(body, condition);
        if let LoopEnd::If(distance, step) = &end
            && steps.is_none()
        {
            // With another distance the counter passes its end for ever, which C++ may take not to happen.
            self.line(format_args!("expect_multiple({}, {step}u);", self.expressions.number(distance)));
        }
        let row = RowLoop::of(body);
        let is_of = |row: &RowLoop| steps.is_some_and(|steps| steps == row.lanes || steps == row.elements);
        if row.as_ref().is_some_and(is_of) && loops::is_flat(body) {
            // Clang's vectoriser wants to be told, as such a loop is short and what it reads and writes might
            // overlap; it then compares the addresses first.
            self.line(format_args!("GPSIMD_LANES"));
        }
        let is_short = |row: &RowLoop| {
            steps.is_some_and(|steps| steps < row.elements) || self.short_loops.contain(whole, row.elements)
        };
        let (comment, hot) = match &row {
            Some(row) if is_short(row) => (format!("  // fewer than {} times", row.elements), None),
            Some(row) => ("  // hot".to_owned(), Some(row.lanes)),
            None => (String::new(), None),
        };
        let first = self.source.next_line();
        self.line(format_args!("do {{{comment}"));
        if matches!(end, LoopEnd::Unknown) {
            self.line(format_args!("{MAY_NOT_END}"));
        }
        self.repeated(body, hot.is_some());
        self.line(format_args!("}} while ({});", self.expressions.plain(condition)));
        self.note(first, hot);
    }

    fn repeated(&mut self, body: &[Statement], is_hot: bool) {
        // Hot loops have none inside.
        self.in_vectors = is_hot && self.vectors.contains(&self.hot_loops.len());
        self.nested(body);
        self.in_vectors = false;
    }

    /// Notes the lines of a loop whose last line was the last that was printed, if it is hot.
    fn note(&mut self, first: usize, hot: Option<u32>) {
        if let Some(lanes) = hot {
            self.hot_loops.push(HotLines { lines: first..=self.source.next_line() - 1, lanes: lanes as usize });
        }
    }

    fn count(&mut self, block: usize) {
        let among = if self.in_vectors { "vector" } else { "scalar" };
        let counts = KINDS.iter().zip(self.function.blocks[block]).filter(|(_, count)| *count != 0);
        let added: Vec<_> =
            counts.map(|(kind, count)| format!("gpsimd_operations_here.{among}.{kind} += {count};")).collect();
        self.line(format_args!("{}", added.join(" ")));
    }

    fn choice(&mut self, condition: &Expression, then: &[Statement], otherwise: &[Statement]) {
        self.line(format_args!("if ({}) {{", self.expressions.plain(condition)));
        self.nested(then);
        let mut rest = otherwise;
        // A chain, not a staircase.
        while let [Statement::If(condition, then, otherwise)] = rest {
            self.line(format_args!("}} else if ({}) {{", self.expressions.plain(condition)));
            self.nested(then);
            rest = otherwise;
        }
        if !rest.is_empty() {
            self.line(format_args!("}} else {{"));
            self.nested(rest);
        }
        self.line(format_args!("}}"));
    }

    fn switch(&mut self, index: &Expression, labels: &[Label], default: Label) {
        self.line(format_args!("switch ({}) {{", self.expressions.number(index)));
        self.depth += 1;
        for (i, label) in labels.iter().enumerate() {
            if *label != default {
                let place = self.place(*label);
                self.line(format_args!("case {i}u: goto {place}_{label};"));
            }
        }
        let place = self.place(default);
        self.line(format_args!("default: goto {place}_{default};"));
        self.depth -= 1;
        self.line(format_args!("}}"));
    }

    /// Where a label is: the start of its name.
    fn place(&self, label: Label) -> &'static str {
        if self.loops.contains(&label) { "again" } else { "after" }
    }
}
