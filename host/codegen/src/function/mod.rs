//! A function of the module as C++ statements.
//!
//! WebAssembly's stack disappears: every value on it is a tree ([`expression`]) that is computed where it is used, or
//! before that, when what it reads is about to change ([`effects`]). Blocks, loops and branches become control flow as
//! people write it ([`statement`], [`structure`]). Text comes last ([`mod@print`]), and nothing reads it.

mod effects;
mod expression;
mod instruction;
mod loops;
mod lower;
mod operations;
mod print;
mod short_loops;
mod statement;
mod structure;

use std::collections::BTreeSet;

pub(crate) use lower::lower;
pub(crate) use print::{constant_text, print, type_name, u32_text};

use expression::Variable;
use operations::Operations;
use statement::Statement;
use wasmparser::ValType;

/// A function, lowered.
pub(crate) struct Function {
    body: Vec<Statement>,
    variables: Vec<Named>,
    parameters: usize,
    results: Vec<ValType>,
    /// Functions that it calls.
    pub(crate) calls: BTreeSet<u32>,
    /// Types that it calls through the table.
    pub(crate) indirect_calls: BTreeSet<u32>,
    /// Bytes of its frame on the stack in linear memory, if it makes one.
    pub(crate) frame: u32,
    /// What its basic blocks compute, if that is counted.
    blocks: Vec<Operations>,
}

/// A local variable.
struct Named {
    name: String,
    ty: ValType,
    /// Of the generator's making: assigned where a value appears, by no instruction.
    is_temporary: bool,
}

impl Function {
    fn name(&self, variable: Variable) -> &str {
        &self.variables[variable as usize].name
    }
}
