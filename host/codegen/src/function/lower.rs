//! Lowering: from instructions on a stack to statements on variables.

use wasmparser::{BlockType, Operator, ValType};

use super::expression::{Expression, Variable, f32_text, f64_text, parse_constant, u32_text, u64_text};
use super::instruction::{self, Form};
use super::operations::{self, Operations};
use super::statement::{Label, Statement, structure};
use super::{Function, Named};
use crate::Options;
use crate::cpp::{Names, results_name};
use crate::error::ImageError;
use crate::module::{Constant, Module};

use ValType::{F32, F64, I32, I64};

/// Lowers function `index`, which has a body.
pub(crate) fn lower(module: &Module<'_>, names: &Names, options: &Options, index: u32) -> Result<Function, ImageError> {
    let ty = module.function_type(index);
    let mut lowering = Lowering {
        module,
        names,
        options,
        index,
        variables: Vec::new(),
        stack: Vec::new(),
        frames: Vec::new(),
        current: Vec::new(),
        labels: 0,
        skipped: 0,
        calls: Vec::new(),
        indirect_calls: Vec::new(),
        blocks: Vec::new(),
        block: None,
    };
    for ty in ty.params() {
        lowering.variable(*ty);
    }
    let body = module.body(index).ok_or_else(|| ImageError::unsupported(module.place(index), "no body"))?;
    for local in body.get_locals_reader()? {
        let (count, ty) = local?;
        for _ in 0..count {
            if !matches!(ty, I32 | I64 | F32 | F64) {
                return Err(ImageError::unsupported(module.place(index), format!("a local of type {ty}")));
            }
            lowering.variable(ty);
        }
    }
    lowering.open(Kind::Block, Vec::new(), ty.results().to_vec());
    let frame = frame(body, options)?;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let operator = operators.read()?;
        lowering.lower(&operator)?;
    }
    let body = structure(lowering.current);
    Ok(Function {
        body,
        variables: lowering.variables,
        parameters: ty.params().len(),
        calls: lowering.calls,
        indirect_calls: lowering.indirect_calls,
        frame,
        blocks: lowering.blocks,
    })
}

struct Lowering<'m, 'a> {
    module: &'m Module<'a>,
    names: &'m Names,
    options: &'m Options,
    index: u32,
    variables: Vec<Named>,
    stack: Vec<Expression>,
    frames: Vec<Frame>,
    /// Statements of the innermost frame so far.
    current: Vec<Statement>,
    labels: u32,
    /// Blocks that were opened in code that nothing reaches.
    skipped: u32,
    calls: Vec<u32>,
    indirect_calls: Vec<u32>,
    blocks: Vec<Operations>,
    /// The basic block that this is in, once it has an operation.
    block: Option<usize>,
}

enum Kind {
    Block,
    Loop,
    If(Box<IfPart>),
}

struct IfPart {
    condition: Expression,
    /// What the `then` part became, once it has ended.
    then: Option<Vec<Statement>>,
    /// The parameters, which `else` starts from again.
    parameters: Vec<Expression>,
}

/// An open block.
struct Frame {
    kind: Kind,
    label: Label,
    /// What a branch assigns: the results of a block, the parameters of a loop.
    targets: Vec<Variable>,
    results: Vec<Variable>,
    /// Height of the stack below the block.
    height: usize,
    /// Statements of the frame around.
    outer: Vec<Statement>,
    /// Nothing reaches the code that comes now.
    is_dead: bool,
}

impl Lowering<'_, '_> {
    fn variable(&mut self, ty: ValType) -> Variable {
        let prefix = match ty {
            I64 => "k",
            F32 => "x",
            F64 => "y",
            _ => "n",
        };
        let variable = self.variables.len() as u32;
        self.variables.push(Named { name: format!("{prefix}{variable}"), ty, is_temporary: false });
        variable
    }

    fn read(&self, variable: Variable) -> Expression {
        let Named { name, ty, .. } = &self.variables[variable as usize];
        let mut expression = Expression::atom(name.as_str(), *ty);
        expression.reads.push(variable);
        expression
    }

    fn push(&mut self, expression: Expression) {
        let is_long = expression.is_long();
        self.stack.push(expression);
        if is_long {
            let last = self.stack.len() - 1;
            self.settle(|at, _| at == last);
        }
    }

    /// The operand on top. The module is valid: there is one.
    fn pop(&mut self) -> Expression {
        self.stack.pop().unwrap_or_else(|| Expression::atom("0u", I32))
    }

    fn pop_many(&mut self, count: usize) -> Vec<Expression> {
        let at = self.stack.len().saturating_sub(count);
        self.stack.split_off(at)
    }

    /// Assigns the chosen values on the stack to variables, in order, and with them all below that may trap.
    fn settle(&mut self, chosen: impl Fn(usize, &Expression) -> bool) {
        let Some(last) = (0..self.stack.len()).rev().find(|at| chosen(*at, &self.stack[*at])) else { return };
        for at in 0..=last {
            let expression = &self.stack[at];
            if chosen(at, expression) || expression.traps {
                self.settle_one(at);
            }
        }
    }

    fn settle_one(&mut self, at: usize) {
        let ty = self.stack[at].ty;
        let variable = self.temporary(ty);
        let value = std::mem::replace(&mut self.stack[at], Expression::atom("", ty));
        self.stack[at] = self.read(variable);
        self.current.push(Statement::Assign(variable, value));
    }

    /// The variable that an expression is, if it is one that no instruction assigns.
    fn as_temporary(&self, expression: &Expression) -> Option<Variable> {
        match expression.reads[..] {
            [variable] if expression.text == self.name(variable) => {
                self.variables[variable as usize].is_temporary.then_some(variable)
            }
            _ => None,
        }
    }

    fn name(&self, variable: Variable) -> &str {
        &self.variables[variable as usize].name
    }

    /// A variable that is assigned where it is made, and by no instruction.
    fn temporary(&mut self, ty: ValType) -> Variable {
        let variable = self.variables.len() as u32;
        self.variables.push(Named { name: format!("t{variable}"), ty, is_temporary: true });
        variable
    }

    /// Before something changes linear memory or a global, or may leave this code for good.
    fn settle_state(&mut self) {
        self.settle(|_, expression| expression.reads_state || expression.traps);
    }

    /// Before blocks, in which any variable may change.
    fn settle_all(&mut self) {
        let temporaries: Vec<_> = self.stack.iter().map(|value| self.as_temporary(value).is_some()).collect();
        self.settle(|at, value| value.reads_state || value.traps || (!value.reads.is_empty() && !temporaries[at]));
    }

    fn assign(&mut self, variable: Variable, value: Expression) {
        // Traps stay in order.
        let traps = value.traps;
        self.settle(|_, expression| expression.reads.contains(&variable) || (traps && expression.traps));
        if value.text == self.name(variable) {
            return;
        }
        // A call's result goes where it is wanted, without a stop.
        let temporary = self.as_temporary(&value);
        if let Some(Statement::Assign(target, call)) = self.current.last_mut()
            && call.acts
            && temporary == Some(*target)
            && !self.stack.iter().any(|expression| expression.reads.contains(target))
        {
            *target = variable;
            return;
        }
        self.current.push(Statement::Assign(variable, value));
    }

    fn frame_of(&self, depth: u32) -> usize {
        self.frames.len() - 1 - depth as usize
    }

    fn open(&mut self, kind: Kind, parameters: Vec<Variable>, results: Vec<ValType>) {
        let results: Vec<_> = results.into_iter().map(|ty| self.temporary(ty)).collect();
        let targets = if matches!(kind, Kind::Loop) { parameters.clone() } else { results.clone() };
        self.labels += 1;
        let height = self.stack.len();
        let outer = std::mem::take(&mut self.current);
        self.frames.push(Frame { kind, label: self.labels, targets, results, height, outer, is_dead: false });
        for parameter in parameters {
            let parameter = self.read(parameter);
            self.stack.push(parameter);
        }
    }

    fn block_type(&self, ty: BlockType) -> (Vec<ValType>, Vec<ValType>) {
        match ty {
            BlockType::Empty => (Vec::new(), Vec::new()),
            BlockType::Type(ty) => (Vec::new(), vec![ty]),
            BlockType::FuncType(index) => {
                let ty = &self.module.types[index as usize];
                (ty.params().to_vec(), ty.results().to_vec())
            }
        }
    }

    /// Opens a block, a loop or an if, whose parameters are on the stack.
    fn enter(&mut self, kind: Kind, ty: BlockType) {
        let (parameters, results) = self.block_type(ty);
        self.settle_all();
        let given = self.pop_many(parameters.len());
        let mut variables = Vec::new();
        for (value, ty) in given.into_iter().zip(parameters) {
            let variable = self.temporary(ty);
            self.current.push(Statement::Assign(variable, value));
            variables.push(variable);
        }
        let kind = match kind {
            Kind::If(mut part) => {
                part.parameters = variables.iter().map(|variable| self.read(*variable)).collect();
                Kind::If(part)
            }
            other => other,
        };
        self.open(kind, variables, results);
    }

    /// Assigns what is on top of the stack to the targets of a branch; the values stay there.
    fn pass(&mut self, targets: &[Variable]) {
        if targets.is_empty() {
            return;
        }
        let at = self.stack.len() - targets.len();
        // One after the other: none may read a target.
        self.settle(|_, expression| targets.iter().any(|target| expression.reads.contains(target)));
        self.settle(|index, expression| index >= at && expression.traps);
        for (i, target) in targets.iter().enumerate() {
            let value = self.stack[at + i].clone();
            if value.text != self.name(*target) {
                self.current.push(Statement::Assign(*target, value));
            }
        }
    }

    /// Leaves for a block around this code, or for the caller if it wants no results.
    fn jump(&self, depth: u32) -> Statement {
        match self.frame_of(depth) {
            0 => Statement::Return(Vec::new()),
            frame => Statement::Goto(self.frames[frame].label),
        }
    }

    /// Nothing reaches what follows in this block.
    fn die(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.is_dead = true;
            self.stack.truncate(frame.height);
        }
    }

    /// Counts an instruction, and ends its basic block if that is the last of it.
    fn count(&mut self, operator: &Operator<'_>) {
        if self.options.count.is_none() {
            return;
        }
        let kind = match operator {
            Operator::Call { function_index } => match self.intrinsic(*function_index) {
                Some("__builtin_fmaf") => Some(operations::FMA),
                Some(_) => Some(operations::DIVIDE),
                None => operations::kind(operator),
            },
            _ => operations::kind(operator),
        };
        if let Some(kind) = kind {
            let block = *self.block.get_or_insert_with(|| {
                self.blocks.push(Operations::default());
                self.current.push(Statement::Count(self.blocks.len() - 1));
                self.blocks.len() - 1
            });
            self.blocks[block][kind] += 1;
        }
        let ends = matches!(
            operator,
            Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::Else
                | Operator::End
                | Operator::Br { .. }
                | Operator::BrIf { .. }
                | Operator::BrTable { .. }
                | Operator::Return
                | Operator::Unreachable
        );
        if ends {
            self.block = None;
        }
    }

    #[expect(clippy::too_many_lines, reason = "an arm for every instruction")]
    fn lower(&mut self, operator: &Operator<'_>) -> Result<(), ImageError> {
        if self.frames.last().is_some_and(|frame| frame.is_dead) {
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    self.skipped += 1;
                    return Ok(());
                }
                Operator::End if self.skipped > 0 => {
                    self.skipped -= 1;
                    return Ok(());
                }
                Operator::End => {}
                Operator::Else if self.skipped == 0 => {}
                _ => return Ok(()),
            }
        }
        self.count(operator);
        match operator {
            Operator::Nop => {}
            Operator::Unreachable => {
                self.settle_state();
                self.current.push(Statement::Trap("unreachable"));
                self.die();
            }
            Operator::Block { blockty } => self.enter(Kind::Block, *blockty),
            Operator::Loop { blockty } => self.enter(Kind::Loop, *blockty),
            Operator::If { blockty } => {
                let condition = self.pop();
                let part = IfPart { condition, then: None, parameters: Vec::new() };
                self.enter(Kind::If(Box::new(part)), *blockty);
            }
            Operator::Else => self.otherwise(),
            Operator::End => self.close(),
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth);
                self.die();
            }
            Operator::BrIf { relative_depth } => {
                let condition = self.pop();
                self.branch_if(condition, *relative_depth);
            }
            Operator::BrTable { targets } => {
                let index = self.pop();
                let mut depths = Vec::new();
                for depth in targets.targets() {
                    depths.push(depth?);
                }
                self.branch_table(index, &depths, targets.default());
                self.die();
            }
            Operator::Return => {
                let depth = self.frames.len() as u32 - 1;
                self.branch(depth);
                self.die();
            }
            Operator::Call { function_index } => self.call(*function_index),
            Operator::CallIndirect { type_index, .. } => self.call_indirect(*type_index),
            Operator::Drop => {
                let value = self.pop();
                if value.traps || value.acts {
                    self.settle_state();
                    self.current.push(Statement::Do(value));
                }
            }
            Operator::Select | Operator::TypedSelect { .. } => {
                // Both operands are evaluated, where C++ evaluates one; a load in one would be a branch.
                let first = self.stack.len().saturating_sub(3);
                self.settle(|at, operand| at >= first && (operand.traps || operand.reads_state));
                let operands = self.pop_many(3);
                let [yes, no, condition] = &operands[..] else { return Ok(()) };
                let text = format!("({} ? {} : {})", condition.condition(), yes.operand(), no.operand());
                self.push(Expression::atom(text, yes.ty).after(&operands));
            }
            Operator::LocalGet { local_index } => {
                let value = self.read(*local_index);
                self.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.assign(*local_index, value);
            }
            Operator::LocalTee { local_index } => {
                let value = self.pop();
                self.assign(*local_index, value);
                let value = self.read(*local_index);
                self.push(value);
            }
            Operator::GlobalGet { global_index } => {
                let global = &self.module.globals[*global_index as usize];
                let mut value = if global.mutable {
                    Expression::atom(format!("w.{}", self.names.global(*global_index)), global.ty)
                } else {
                    constant(global.init)
                };
                value.reads_state = global.mutable;
                self.push(value);
            }
            Operator::GlobalSet { global_index } => {
                let value = self.pop();
                self.settle_state();
                let name = self.names.global(*global_index);
                self.current.push(Statement::Line(format!("w.{name} = {};", value.value()), value.reads));
                if self.options.stack == Some(*global_index) {
                    self.current.push(Statement::Line("check_stack(w);".into(), Vec::new()));
                }
            }
            Operator::I32Const { value } => self.push(constant(Constant::I32(*value as u32))),
            Operator::I64Const { value } => self.push(constant(Constant::I64(*value as u64))),
            Operator::F32Const { value } => self.push(constant(Constant::F32(value.bits()))),
            Operator::F64Const { value } => self.push(constant(Constant::F64(value.bits()))),
            Operator::MemorySize { .. } => self.push(Expression::atom("(w.memory_bytes >> 16)", I32)),
            Operator::MemoryGrow { .. } => {
                // TCM does not grow, and WebAssembly lets any growth fail.
                let pages = self.pop();
                let text = format!("({} == 0u ? w.memory_bytes >> 16 : 0xffffffffu)", pages.operand());
                self.push(Expression::atom(text, I32).after(&[pages]));
            }
            Operator::MemoryCopy { .. } => self.bulk("memory_copy"),
            Operator::MemoryFill { .. } => self.bulk("memory_fill"),
            other => return self.lower_numeric(other),
        }
        Ok(())
    }

    fn bulk(&mut self, function: &str) {
        let operands = self.pop_in_order(3);
        self.settle_state();
        let checked = if self.options.bounds_checks { "_checked" } else { "" };
        let leading: &[&str] = if self.options.bounds_checks { &["w", "m"] } else { &["m"] };
        let mut call = Expression::call(&format!("{function}{checked}"), leading, &operands, I32);
        call.acts = true;
        self.current.push(Statement::Do(call));
    }

    /// Operands of an instruction, of which at most the last may trap: C++ evaluates operands in any order.
    fn pop_in_order(&mut self, count: usize) -> Vec<Expression> {
        let first = self.stack.len().saturating_sub(count);
        if self.stack[first..].iter().filter(|operand| operand.traps).count() > 1 {
            let last = self.stack.len() - 1;
            self.settle(|at, operand| at >= first && at < last && operand.traps);
        }
        self.pop_many(count)
    }

    fn lower_numeric(&mut self, operator: &Operator<'_>) -> Result<(), ImageError> {
        if let Some(access) = instruction::access(operator) {
            self.access(instruction::name(operator), access);
            return Ok(());
        }
        let name = instruction::name(operator);
        let Some(numeric) = instruction::numeric(operator) else {
            let what = format!("the instruction {}", name.replacen('_', ".", 1));
            return Err(ImageError::unsupported(self.module.place(self.index), what));
        };
        let operands = self.pop_in_order(numeric.operands);
        let result = numeric.result;
        let mut value = match numeric.form {
            Form::Infix(symbol) => arithmetic(symbol, &operands[0], &operands[1], result),
            Form::Shift(symbol, mask) => {
                let distance = match parse_constant(&operands[1].text) {
                    Some(distance) => Expression::atom((distance & u64::from(mask)).to_string(), I32),
                    None => Expression::infix("&", &operands[1], &Expression::atom(format!("{mask}u"), I32), I32),
                };
                Expression::infix(symbol, &operands[0], &distance, result)
            }
            Form::Compare(symbol) => {
                let mut value = Expression::infix(symbol, &operands[0], &operands[1], I32).boolean();
                let is_float = matches!(operands[0].ty, F32 | F64);
                if let Some(operator) = &mut value.operator
                    && is_float
                    && !matches!(symbol, "==" | "!=")
                {
                    // Not `<` negated is not `>=`: NaN.
                    operator.symbol = "compares floats";
                }
                value
            }
            Form::CompareSigned(symbol, signed) => {
                let cast = |operand: &Expression| {
                    Expression::atom(format!("{signed}({})", operand.value()), operand.ty)
                        .after(std::slice::from_ref(operand))
                };
                Expression::infix(symbol, &cast(&operands[0]), &cast(&operands[1]), I32).boolean()
            }
            Form::IsZero if operands[0].is_bool || operands[0].ty == I32 => operands[0].negated(),
            Form::IsZero => Expression::infix("==", &operands[0], &Expression::atom("u64(0)", I64), I32).boolean(),
            Form::Call => {
                divide_by_constant(name, &operands).unwrap_or_else(|| Expression::call(name, &[], &operands, result))
            }
        };
        value.traps |= numeric.traps && !is_safe_division(name, &operands);
        self.push(value);
        Ok(())
    }

    fn access(&mut self, name: &str, access: instruction::Access) {
        let mut operands = self.pop_in_order(if access.is_store { 2 } else { 1 });
        let offset = Expression::atom(u32_text(access.arg.offset as u32), I32);
        if self.options.bounds_checks {
            if let Some(value) = operands.get_mut(1)
                && value.traps
            {
                // Before the check of the address.
                let variable = self.temporary(value.ty);
                let first = std::mem::replace(value, Expression::atom("", value.ty));
                self.settle_state();
                self.current.push(Statement::Assign(variable, first));
                operands[1] = self.read(variable);
            }
            let bytes = Expression::atom(access.bytes.to_string(), I32);
            let checked = [operands[0].clone(), offset.clone(), bytes];
            operands[0] = Expression::call("check", &["w"], &checked, I32);
            operands[0].traps = true;
        }
        operands.insert(1, offset);
        let is_aligned = 1u32 << access.arg.align >= access.bytes;
        let function = format!("{name}{}", if is_aligned { "" } else { "_unaligned" });
        let mut call = Expression::call(&function, &["m"], &operands, access.ty);
        if access.is_store {
            self.settle_state();
            call.acts = true;
            self.current.push(Statement::Do(call));
        } else {
            call.reads_state = true;
            self.push(call);
        }
    }

    fn branch(&mut self, depth: u32) {
        let frame = self.frame_of(depth);
        let targets = self.frames[frame].targets.clone();
        if frame == 0 {
            self.leave();
            return;
        }
        self.settle_state_but(targets.len());
        self.pass(&targets);
        let jump = self.jump(depth);
        self.current.push(jump);
    }

    /// `return` with what is on top of the stack.
    fn leave(&mut self) {
        let count = self.frames[0].results.len();
        self.settle_state_but(count);
        let values = self.pop_in_order(count);
        self.current.push(Statement::Return(values));
    }

    /// Before a branch: what may trap and is left behind on the stack traps now.
    fn settle_state_but(&mut self, top: usize) {
        let below = self.stack.len().saturating_sub(top);
        self.settle(|at, expression| at < below && expression.traps);
    }

    fn branch_if(&mut self, condition: Expression, depth: u32) {
        let frame = self.frame_of(depth);
        if frame == 0 && !self.frames[0].results.is_empty() {
            // The values stay on the stack if the branch is not taken.
            self.settle(|_, expression| expression.traps || expression.reads_state || expression.is_long());
            let at = self.stack.len() - self.frames[0].results.len();
            let values = self.stack[at..].to_vec();
            self.current.push(Statement::If(condition, vec![Statement::Return(values)], Vec::new()));
            return;
        }
        let targets = self.frames[frame].targets.clone();
        let condition = if targets.is_empty() { condition } else { self.keep(condition) };
        self.settle_state();
        let mut inside = Vec::new();
        if !targets.is_empty() {
            // Values that are there to stay: assigned on the way out only.
            self.settle_all();
            let stack = self.stack.clone();
            std::mem::swap(&mut inside, &mut self.current);
            self.pass(&targets);
            std::mem::swap(&mut inside, &mut self.current);
            self.stack = stack;
        }
        inside.push(self.jump(depth));
        self.current.push(Statement::If(condition, inside, Vec::new()));
    }

    /// A condition that is evaluated now, before values are assigned.
    fn keep(&mut self, condition: Expression) -> Expression {
        self.settle_state();
        let variable = self.temporary(I32);
        self.current.push(Statement::Assign(variable, condition));
        self.read(variable)
    }

    fn branch_table(&mut self, index: Expression, depths: &[u32], default: u32) {
        let all: Vec<u32> = depths.iter().copied().chain([default]).collect();
        let index = if self.frames[self.frame_of(default)].targets.is_empty() { index } else { self.keep(index) };
        self.settle_state();
        // A branch out of the function, or with values, gets a label of its own.
        let is_plain = |lowering: &Self, depth: u32| {
            let frame = lowering.frame_of(depth);
            frame != 0 && lowering.frames[frame].targets.is_empty()
        };
        let mut labels = std::collections::BTreeMap::new();
        let mut trampolines = Vec::new();
        for depth in all {
            if labels.contains_key(&depth) {
                continue;
            }
            if is_plain(self, depth) {
                labels.insert(depth, self.frames[self.frame_of(depth)].label);
                continue;
            }
            self.labels += 1;
            labels.insert(depth, self.labels);
            trampolines.push((self.labels, depth));
        }
        let label = |depth: &u32| labels.get(depth).copied().unwrap_or_default();
        let switch = Statement::Switch(index, depths.iter().map(label).collect(), label(&default));
        if trampolines.is_empty() {
            self.current.push(switch);
            return;
        }
        self.settle_all();
        let mut inner = vec![switch];
        for (label, depth) in trampolines {
            let stack = self.stack.clone();
            let mut body = vec![Statement::Block(label, inner)];
            std::mem::swap(&mut body, &mut self.current);
            self.branch(depth);
            std::mem::swap(&mut body, &mut self.current);
            self.stack = stack;
            inner = body;
        }
        self.current.extend(inner);
    }

    fn otherwise(&mut self) {
        let Some(frame) = self.frames.last() else { return };
        let (results, is_dead, height) = (frame.results.clone(), frame.is_dead, frame.height);
        if !is_dead {
            self.settle_state_but(results.len());
            self.pass(&results);
        }
        self.stack.truncate(height);
        let then = std::mem::take(&mut self.current);
        if let Some(frame) = self.frames.last_mut() {
            frame.is_dead = false;
            if let Kind::If(part) = &mut frame.kind {
                part.then = Some(then);
                self.stack.extend(part.parameters.iter().cloned());
            }
        }
    }

    fn close(&mut self) {
        let Some(frame) = self.frames.last() else { return };
        let (results, is_dead) = (frame.results.clone(), frame.is_dead);
        if self.frames.len() == 1 {
            if !is_dead && !results.is_empty() {
                self.leave();
            } else if !is_dead {
                self.settle_state();
            }
            self.frames.pop();
            return;
        }
        if !is_dead {
            self.settle_state_but(results.len());
            self.pass(&results);
        }
        let Some(frame) = self.frames.pop() else { return };
        self.stack.truncate(frame.height);
        let body = std::mem::replace(&mut self.current, frame.outer);
        match frame.kind {
            Kind::Block => self.current.push(Statement::Block(frame.label, body)),
            Kind::Loop => self.current.push(Statement::Loop(frame.label, body)),
            Kind::If(part) => {
                let IfPart { condition, then, parameters } = *part;
                let (then, otherwise) = if let Some(then) = then {
                    (then, body)
                } else {
                    // No `else`: the parameters are the results.
                    let same = results.iter().zip(parameters);
                    (body, same.map(|(result, value)| Statement::Assign(*result, value)).collect())
                };
                let chosen = Statement::If(condition, then, otherwise);
                self.current.push(Statement::Block(frame.label, vec![chosen]));
            }
        }
        for result in results {
            let value = self.read(result);
            self.stack.push(value);
        }
    }

    fn call(&mut self, function: u32) {
        let ty = self.module.function_type(function).clone();
        if let Some(builtin) = self.intrinsic(function) {
            let operands = self.pop_in_order(ty.params().len());
            self.push(Expression::call(builtin, &[], &operands, F32));
            return;
        }
        self.calls.push(function);
        let operands = self.pop_in_order(ty.params().len());
        let call = Expression::call(self.names.function(function), &["w", "m"], &operands, I32);
        self.finish_call(call, ty.results());
    }

    /// What C++ calls a function that is an instruction of the core.
    fn intrinsic(&self, function: u32) -> Option<&'static str> {
        let import = self.module.imports.get(function as usize)?;
        if import.module == "gpsimd" { intrinsic(import.name) } else { None }
    }

    fn call_indirect(&mut self, ty: u32) {
        self.indirect_calls.push(ty);
        let results = self.module.types[ty as usize].results().to_vec();
        let operands = self.pop_in_order(self.module.types[ty as usize].params().len() + 1);
        let call = Expression::call(&format!("call_indirect_{ty}"), &["w", "m"], &operands, I32);
        self.finish_call(call, &results);
    }

    fn finish_call(&mut self, mut call: Expression, results: &[ValType]) {
        self.settle_state();
        call.acts = true;
        match results {
            [] => self.current.push(Statement::Do(call)),
            [ty] => {
                call.ty = *ty;
                let variable = self.temporary(*ty);
                self.current.push(Statement::Assign(variable, call));
                let value = self.read(variable);
                self.stack.push(value);
            }
            several => {
                let variables: Vec<_> = several.iter().map(|ty| self.temporary(*ty)).collect();
                let name = results_name(several);
                self.current.push(Statement::AssignResults(name, variables.clone(), call));
                for variable in variables {
                    let value = self.read(variable);
                    self.stack.push(value);
                }
            }
        }
    }
}

/// Bytes that a function takes of the stack: how its first instructions move the stack pointer, down by a number and then,
/// for locals of large alignment, to a multiple of one.
fn frame(body: &wasmparser::FunctionBody<'_>, options: &Options) -> Result<u32, ImageError> {
    let first: Vec<_> = body.get_operators_reader()?.into_iter().take(6).collect::<Result<_, _>>()?;
    let first: Vec<_> = first.iter().filter(|operator| !matches!(operator, Operator::LocalTee { .. })).collect();
    match first[..] {
        [Operator::GlobalGet { global_index }, Operator::I32Const { value }, Operator::I32Sub, ref rest @ ..]
            if options.stack == Some(*global_index) =>
        {
            let alignment = match rest {
                [Operator::I32Const { value }, Operator::I32And, ..] if *value < 0 => value.unsigned_abs(),
                _ => 0,
            };
            Ok((*value as u32).saturating_add(alignment))
        }
        _ => Ok(0),
    }
}

fn constant(value: Constant) -> Expression {
    match value {
        Constant::I32(value) => Expression::atom(u32_text(value), I32),
        Constant::I64(value) => Expression::atom(u64_text(value), I64),
        Constant::F32(bits) => Expression::atom(f32_text(bits), F32),
        Constant::F64(bits) => Expression::atom(f64_text(bits), F64),
    }
}

/// `left symbol right`; an addition of what is negative as a subtraction.
fn arithmetic(symbol: &'static str, left: &Expression, right: &Expression, ty: ValType) -> Expression {
    if symbol == "+"
        && ty == I32
        && let Some(value) = parse_constant(&right.text)
        && (value as u32 as i32) < 0
        && (value as u32 as i32) > -65_536
    {
        let right = Expression::atom(u32_text((value as u32).wrapping_neg()), I32);
        return Expression::infix("-", left, &right, ty);
    }
    Expression::infix(symbol, left, right, ty)
}

/// Whether the divisor is a constant with which no division traps.
fn is_safe_division(name: &str, operands: &[Expression]) -> bool {
    let divisor = operands.get(1).and_then(|divisor| parse_constant(&divisor.text));
    let minus_one = if name.starts_with("i32") { u64::from(u32::MAX) } else { u64::MAX };
    (name.contains("_div_") || name.contains("_rem_")) && divisor.is_some_and(|value| value != 0 && value != minus_one)
}

/// Unsigned division by a constant other than zero, which C++ has.
fn divide_by_constant(name: &str, operands: &[Expression]) -> Option<Expression> {
    let symbol = match name {
        "i32_div_u" | "i64_div_u" => "/",
        "i32_rem_u" | "i64_rem_u" => "%",
        _ => return None,
    };
    is_safe_division(name, operands).then(|| Expression::infix(symbol, &operands[0], &operands[1], operands[0].ty))
}

/// Imports of the device API that are instructions of the core.
fn intrinsic(import: &str) -> Option<&'static str> {
    match import {
        "fma" => Some("__builtin_fmaf"),
        "sqrt" => Some("__builtin_sqrtf"),
        _ => None,
    }
}
