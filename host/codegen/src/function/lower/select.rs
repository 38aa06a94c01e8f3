//! Instruction selection: what an instruction and its operands are as a tree.

use wasmparser::{Operator, ValType};

use super::Lowering;
use crate::error::ImageError;
use crate::function::expression::{BinaryOp, Builtin, Bulk, Call, Callee, Expression, FMA, Relation, SQRT};
use crate::function::instruction::{self, Access, Form, Numeric};
use crate::function::statement::Statement;
use crate::module::Constant;

impl Lowering<'_, '_> {
    /// An instruction on numbers, or a load or store.
    pub(super) fn compute(&mut self, operator: &Operator<'_>) -> Result<(), ImageError> {
        if let Some(access) = instruction::access(operator) {
            self.access(Access { is_checked: self.options.bounds_checks, ..access });
            return Ok(());
        }
        let name = instruction::name(operator);
        let Some(Numeric { operands, result, form, traps }) = instruction::numeric(operator) else {
            let what = format!("the instruction {}", name.replacen('_', ".", 1));
            return Err(ImageError::unsupported(self.module.place(self.index), what));
        };
        let value = match form {
            Form::Binary(op) => {
                let [left, right] = self.pop_pair();
                arithmetic(op, left, right)
            }
            Form::IsZero => match self.pop() {
                value if value.ty() == Some(ValType::I64) => {
                    Expression::compare(Relation::Equal, value, Expression::Constant(Constant::I64(0)))
                }
                value => value.negated(),
            },
            Form::Division(op) => {
                let [left, right] = self.pop_pair();
                let is_safe = is_safe_divisor(&right);
                match op {
                    Some(op) if is_safe => Expression::binary(op, left, right),
                    _ => Expression::Builtin(Builtin { name, result, traps: !is_safe }, vec![left, right]),
                }
            }
            Form::Builtin => {
                let operands = self.pop_in_order(operands);
                Expression::Builtin(Builtin { name, result, traps }, operands)
            }
        };
        self.push(value);
        Ok(())
    }

    /// Both values are computed in WebAssembly, and one in C++, where a load in one would be a branch.
    pub(super) fn select(&mut self) {
        let first = self.stack.len().saturating_sub(3);
        self.settle(|at, operand| at >= first && operand.effects().is_ordered());
        let condition = self.pop().into_condition();
        let [yes, no] = self.pop_pair();
        self.push(Expression::Select(Box::new([condition, yes, no])));
    }

    pub(super) fn bulk(&mut self, name: &'static str) {
        let operands = self.pop_in_order(3);
        self.settle_state();
        let bulk = Bulk { name, is_checked: self.options.bounds_checks };
        self.current.push(Statement::Do(Expression::Bulk(bulk, operands)));
    }

    fn access(&mut self, access: Access) {
        if !access.is_store {
            let address = self.pop();
            self.push(Expression::Load(access, Box::new(address)));
            return;
        }
        let [address, mut value] = self.pop_pair();
        if access.is_checked
            && value.effects().traps
            && let Some(ty) = value.ty()
        {
            // Before the check of the address.
            let variable = self.temporary(ty);
            self.settle_state();
            self.current.push(Statement::Assign(variable, value));
            value = self.read(variable);
        }
        self.settle_state();
        self.current.push(Statement::Do(Expression::Store(access, Box::new([address, value]))));
    }

    pub(super) fn call(&mut self, function: u32) {
        let ty = self.module.function_type(function).clone();
        let operands = self.pop_in_order(ty.params().len());
        if let Some(builtin) = self.intrinsic(function) {
            self.push(Expression::Builtin(builtin, operands));
            return;
        }
        self.calls.insert(function);
        self.finish_call(Callee::Function(function), operands, ty.results());
    }

    /// The function of the compiler that an import is, if it is an instruction of the core.
    pub(super) fn intrinsic(&self, function: u32) -> Option<Builtin> {
        let import = self.module.imports.get(function as usize)?;
        match (import.module, import.name) {
            ("gpsimd", "fma") => Some(FMA),
            ("gpsimd", "sqrt") => Some(SQRT),
            _ => None,
        }
    }

    pub(super) fn call_indirect(&mut self, ty: u32) {
        self.indirect_calls.insert(ty);
        let types = &self.module.types[ty as usize];
        let (operands, results) = (types.params().len() + 1, types.results().to_vec());
        let operands = self.pop_in_order(operands);
        self.finish_call(Callee::Table(ty), operands, &results);
    }

    fn finish_call(&mut self, callee: Callee, operands: Vec<Expression>, results: &[ValType]) {
        self.settle_state();
        let result = if let [ty] = results { Some(*ty) } else { None };
        let call = Expression::Call(Call { callee, result }, operands);
        let variables: Vec<_> = results.iter().map(|ty| self.temporary(*ty)).collect();
        self.current.push(match variables[..] {
            [] => Statement::Do(call),
            [variable] => Statement::Assign(variable, call),
            _ => Statement::AssignResults(variables.clone(), call),
        });
        for variable in variables {
            let value = self.read(variable);
            self.stack.push(value);
        }
    }
}

/// An operation; an addition of what is negative as a subtraction.
fn arithmetic(op: BinaryOp, left: Expression, right: Expression) -> Expression {
    if let (BinaryOp::Add, Expression::Constant(Constant::I32(value))) = (op, &right)
        && (-65_535..0).contains(&(*value as i32))
    {
        return Expression::binary(BinaryOp::Sub, left, Expression::u32(value.wrapping_neg()));
    }
    Expression::binary(op, left, right)
}

/// Whether a divisor is a constant with which no division traps.
const fn is_safe_divisor(divisor: &Expression) -> bool {
    match divisor {
        Expression::Constant(Constant::I32(value)) => *value != 0 && *value != u32::MAX,
        Expression::Constant(Constant::I64(value)) => *value != 0 && *value != u64::MAX,
        _ => false,
    }
}
