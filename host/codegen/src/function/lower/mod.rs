//! Lowering: from instructions on a stack to statements on variables.
//!
//! [`stack`] keeps the operands and settles in time what must not move, [`control`] opens, leaves and closes blocks, and
//! [`select`] makes trees of instructions.

mod control;
mod frame;
mod select;
mod stack;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use wasmparser::{Operator, ValType};

use super::expression::{Expression, FMA, Variable};
use super::operations::{self, Operations};
use super::print::ExpressionPrinter;
use super::statement::Statement;
use super::structure::structure;
use super::{Function, Named};
use crate::Options;
use crate::cpp::Names;
use crate::error::ImageError;
use crate::module::{Constant, Module};
use control::{Frame, IfPart, Kind};

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
        calls: BTreeSet::new(),
        indirect_calls: BTreeSet::new(),
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
    let frame = frame::bytes(body, options)?;
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
        results: ty.results().to_vec(),
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
    calls: BTreeSet<u32>,
    indirect_calls: BTreeSet<u32>,
    blocks: Vec<Operations>,
    /// The basic block that this is in, once it has an operation.
    block: Option<usize>,
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

    /// A variable that is assigned where it is made, and by no instruction.
    fn temporary(&mut self, ty: ValType) -> Variable {
        let variable = self.variables.len() as u32;
        self.variables.push(Named { name: format!("t{variable}"), ty, is_temporary: true });
        variable
    }

    fn read(&self, variable: Variable) -> Expression {
        Expression::Variable(variable, self.variables[variable as usize].ty)
    }

    /// Counts an instruction, and ends its basic block if that is the last of it.
    fn count(&mut self, operator: &Operator<'_>) {
        if self.options.count.is_none() {
            return;
        }
        let kind = match operator {
            Operator::Call { function_index } => match self.intrinsic(*function_index) {
                Some(builtin) if builtin == FMA => Some(operations::FMA),
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
                let effects = value.effects();
                if effects.traps || effects.acts() {
                    self.settle_state();
                    self.current.push(Statement::Do(value));
                }
            }
            Operator::Select | Operator::TypedSelect { .. } => {
                self.select();
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
                self.push(if global.mutable {
                    Expression::Global(*global_index, global.ty)
                } else {
                    Expression::Constant(global.init)
                });
            }
            Operator::GlobalSet { global_index } => {
                let value = self.pop();
                self.settle_state();
                self.current.push(Statement::SetGlobal(*global_index, value));
                if self.options.stack == Some(*global_index) {
                    self.current.push(Statement::CheckStack);
                }
            }
            Operator::I32Const { value } => self.push(Expression::Constant(Constant::I32(*value as u32))),
            Operator::I64Const { value } => self.push(Expression::Constant(Constant::I64(*value as u64))),
            Operator::F32Const { value } => self.push(Expression::Constant(Constant::F32(value.bits()))),
            Operator::F64Const { value } => self.push(Expression::Constant(Constant::F64(value.bits()))),
            Operator::MemorySize { .. } => self.push(Expression::MemoryPages),
            Operator::MemoryGrow { .. } => {
                // TCM does not grow, and WebAssembly lets any growth fail.
                let grows_by_none = self.pop().negated();
                let values = [grows_by_none, Expression::MemoryPages, Expression::u32(u32::MAX)];
                self.push(Expression::Select(Box::new(values)));
            }
            Operator::MemoryCopy { .. } => self.bulk("memory_copy"),
            Operator::MemoryFill { .. } => self.bulk("memory_fill"),
            other => return self.compute(other),
        }
        Ok(())
    }
}
