//! [`Operations`]: what a basic block computes, for the cost model.

use wasmparser::Operator;

use super::instruction;

/// How many operations there are of each of [`KINDS`].
pub(super) type Operations = [u32; KINDS.len()];

/// Fields of `gpsimd_operation_counts`.
pub(super) const KINDS: [&str; 7] = ["float_", "fma", "divide", "integer", "compare", "memory", "branch"];

const FLOAT: usize = 0;
pub(super) const FMA: usize = 1;
pub(super) const DIVIDE: usize = 2;
const INTEGER: usize = 3;
const COMPARE: usize = 4;
const MEMORY: usize = 5;
const BRANCH: usize = 6;

/// The kind of an instruction, an index of [`KINDS`]; none of what costs nothing in registers. Calls of imports that are
/// instructions are the caller's.
pub(super) fn kind(operator: &Operator<'_>) -> Option<usize> {
    match operator {
        Operator::Br { .. }
        | Operator::BrIf { .. }
        | Operator::BrTable { .. }
        | Operator::Return
        | Operator::If { .. }
        | Operator::Call { .. }
        | Operator::CallIndirect { .. } => return Some(BRANCH),
        Operator::Select | Operator::TypedSelect { .. } => return Some(COMPARE),
        Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } => return Some(MEMORY),
        _ => {}
    }
    if instruction::access(operator).is_some() {
        return Some(MEMORY);
    }
    let numeric = instruction::numeric(operator)?;
    let (ty, what) = instruction::name(operator).split_once('_')?;
    let is_float = matches!(ty, "f32" | "f64");
    Some(match what {
        _ if what.starts_with("reinterpret") => return None,
        "div" | "sqrt" => DIVIDE,
        "min" | "max" | "eq" | "ne" | "lt" | "gt" | "le" | "ge" | "eqz" => COMPARE,
        _ if what.starts_with(['l', 'g']) && what.ends_with(['s', 'u']) => COMPARE,
        _ if is_float || what.starts_with("trunc") => FLOAT,
        _ => {
            debug_assert!(numeric.operands > 0);
            INTEGER
        }
    })
}
