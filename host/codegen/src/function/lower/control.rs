//! Blocks, branches and returns.

use wasmparser::{BlockType, ValType};

use super::Lowering;
use crate::function::expression::{Expression, Variable};
use crate::function::statement::{Label, Statement};

pub(super) enum Kind {
    Block,
    Loop,
    If(Box<IfPart>),
}

/// An `if` whose `else` or end has not come.
pub(super) struct IfPart {
    pub(super) condition: Expression,
    /// What the `then` part became, once it has ended.
    pub(super) then: Option<Vec<Statement>>,
    /// The parameters, which `else` starts from again.
    pub(super) parameters: Vec<Expression>,
}

/// An open block.
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) label: Label,
    /// What a branch assigns: the results of a block, the parameters of a loop.
    pub(super) targets: Vec<Variable>,
    pub(super) results: Vec<Variable>,
    /// Height of the stack below the block.
    pub(super) height: usize,
    /// Statements of the frame around.
    pub(super) outer: Vec<Statement>,
    /// Nothing reaches the code that comes now.
    pub(super) is_dead: bool,
}

impl Lowering<'_, '_> {
    fn frame_of(&self, depth: u32) -> usize {
        self.frames.len() - 1 - depth as usize
    }

    pub(super) fn open(&mut self, kind: Kind, parameters: Vec<Variable>, results: Vec<ValType>) {
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
    pub(super) fn enter(&mut self, kind: Kind, ty: BlockType) {
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

    /// Leaves for a block around this code, or for the caller if it wants no results.
    fn jump(&self, depth: u32) -> Statement {
        match self.frame_of(depth) {
            0 => Statement::Return(Vec::new()),
            frame => Statement::Goto(self.frames[frame].label),
        }
    }

    /// Nothing reaches what follows in this block.
    pub(super) fn die(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.is_dead = true;
            self.stack.truncate(frame.height);
        }
    }

    pub(super) fn branch(&mut self, depth: u32) {
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

    pub(super) fn branch_if(&mut self, condition: Expression, depth: u32) {
        let frame = self.frame_of(depth);
        if frame == 0 && !self.frames[0].results.is_empty() {
            // The values stay on the stack if the branch is not taken.
            self.settle_state();
            let at = self.stack.len() - self.frames[0].results.len();
            let values = self.stack[at..].to_vec();
            let condition = condition.into_condition();
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
        self.current.push(Statement::If(condition.into_condition(), inside, Vec::new()));
    }

    /// A condition that is evaluated now, before values are assigned.
    fn keep(&mut self, condition: Expression) -> Expression {
        self.settle_state();
        let variable = self.temporary(ValType::I32);
        self.current.push(Statement::Assign(variable, condition));
        self.read(variable)
    }

    pub(super) fn branch_table(&mut self, index: Expression, depths: &[u32], default: u32) {
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

    pub(super) fn otherwise(&mut self) {
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

    pub(super) fn close(&mut self) {
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
                let chosen = Statement::If(condition.into_condition(), then, otherwise);
                self.current.push(Statement::Block(frame.label, vec![chosen]));
            }
        }
        for result in results {
            let value = self.read(result);
            self.stack.push(value);
        }
    }
}
