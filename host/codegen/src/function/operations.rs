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

#[cfg(test)]
mod tests {
    use wasmparser::{Parser, Payload};

    use super::*;

    /// Kinds of the instructions of a function, which has a memory and three locals of i32, f32 and i64.
    fn kinds(instructions: &str) -> Vec<Option<&'static str>> {
        let text = format!("(module (memory 1) (func $f (local i32 f32 i64) {instructions}))");
        let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
        let code = Parser::new(0).parse_all(&wasm).find_map(|payload| match payload.unwrap() {
            Payload::CodeSectionEntry(body) => Some(body),
            _ => None,
        });
        let operators = code.unwrap().get_operators_reader().unwrap().into_iter();
        operators.map(|operator| kind(&operator.unwrap()).map(|kind| KINDS[kind])).collect()
    }

    #[test]
    fn every_instruction_is_of_the_kind_that_its_unit_is_of() {
        for (kind, instructions) in [
            ("float_", "f32.add f32.sub f32.mul f32.neg f32.abs f32.copysign f32.floor f32.nearest"),
            ("float_", "f32.convert_i32_s f64.promote_f32 f32.demote_f64 i32.trunc_f32_s i32.trunc_sat_f32_u f64.add"),
            ("divide", "f32.div f64.div f32.sqrt"),
            ("integer", "i32.add i32.sub i32.mul i32.div_s i32.rem_u i32.and i32.shl i32.shr_s i32.rotl i32.clz"),
            ("integer", "i64.add i32.wrap_i64 i64.extend_i32_u i32.extend8_s"),
            ("compare", "i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.le_u i32.ge_s i64.ge_u"),
            ("compare", "f32.eq f32.ne f32.lt f32.gt f32.le f32.ge f32.min f32.max select"),
            ("memory", "i32.load i32.load8_u i64.load32_s f32.load f32.store i32.store16 memory.copy memory.fill"),
            ("branch", "br 0 br_if 0 return call $f"),
        ] {
            for instruction in instructions.split(' ').filter(|word| word.parse::<u32>().is_err() && *word != "$f") {
                let operand = if instruction.starts_with("br") {
                    " 0"
                } else if instruction == "call" {
                    " $f"
                } else {
                    ""
                };
                let found = kinds(&format!("{instruction}{operand}"));
                assert_eq!(found, [Some(kind), None], "{instruction}");
            }
        }
    }

    #[test]
    fn what_costs_nothing_in_registers_has_no_kind() {
        let nothing = "local.get 0 local.set 0 local.tee 0 i32.const 1 f32.const 1 drop nop block end unreachable";
        let bits = "f32.reinterpret_i32 i32.reinterpret_f32";
        assert!(kinds(&format!("{nothing} {bits}")).iter().all(Option::is_none));
    }
}
