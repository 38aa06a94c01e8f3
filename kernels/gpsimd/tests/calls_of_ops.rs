//! Which op a gradient or a second phase calls, and whether its operands are what the op takes: what the compiler
//! evaluates, here at run time, for every kind.

use std::panic::{UnwindSafe, catch_unwind};

use gpsimd::ops::{OpInfo, check};

/// The letters of `OpInfo::operands` for tensors of a dtype, with what they are called.
const TENSORS: [(char, &str); 7] = [
    ('f', "a tensor of f32"),
    ('b', "a tensor of bf16"),
    ('h', "a tensor of f16"),
    ('i', "a tensor of i32"),
    ('s', "a tensor of i16"),
    ('c', "a tensor of i8"),
    ('u', "a tensor of u8"),
];

/// Those for numbers.
const NUMBERS: [(char, &str); 5] = [('F', "an f32"), ('I', "an i32"), ('U', "a u32"), ('B', "a bool"), ('z', "a size")];

/// A tensor of a type parameter.
const GENERIC: (char, &str) = ('t', "a tensor");

/// A number in the source; no op takes it.
const LITERAL: (char, &str) = ('n', "a number");

const fn op(name: &'static str, operands: &'static str) -> OpInfo {
    OpInfo { name, operands, outputs: 1, then: None, descriptor: "" }
}

/// What the compiler says.
fn error(check: impl FnOnce() + UnwindSafe) -> Option<String> {
    let panic = catch_unwind(check).err()?;
    Some(*panic.downcast::<String>().expect("a message"))
}

#[test]
fn an_operand_is_what_the_op_takes_or_the_launch_decides() {
    let taken: Vec<_> = TENSORS.into_iter().chain(NUMBERS).chain([GENERIC]).collect();
    for &(expected, expected_name) in &taken {
        for &(found, found_name) in taken.iter().chain([&LITERAL]) {
            let fits = expected == found
                || found == LITERAL.0 && NUMBERS.iter().any(|(number, _)| *number == expected)
                || found == GENERIC.0 && TENSORS.iter().any(|(tensor, _)| *tensor == expected)
                || expected == GENERIC.0 && TENSORS.iter().any(|(tensor, _)| *tensor == found);
            let operands: &'static str = String::from(expected).leak();
            let said = error(|| check::operand(&[op("back", operands)], "back", 0, found));
            let expected = format!("operand 1 of op `back` is {expected_name}, and this is {found_name}");
            assert_eq!(said, (!fits).then_some(expected), "{found_name} for {expected_name}");
        }
    }
}

#[test]
fn an_operand_is_told_by_its_number() {
    let ops = [op("many", "ffffffffffF")];
    assert_eq!(error(|| check::operand(&ops, "many", 9, 'f')), None);
    let said = error(|| check::operand(&ops, "many", 10, 'f'));
    assert_eq!(said.unwrap(), "operand 11 of op `many` is an f32, and this is a tensor of f32");
    assert_eq!(error(|| check::operand(&ops, "many", 11, 'f')).unwrap(), "op `many` has only 11 operands");
    assert_eq!(error(|| check::operand(&ops, "many", 12, 'f')), None, "one error is enough");
    assert_eq!(error(|| check::operand(&[op("one", "f")], "one", 1, 'f')).unwrap(), "op `one` has only 1 operand");
}

#[test]
fn an_op_whose_name_begins_as_another_is_another() {
    for ops in [[op("scale_add", "fff"), op("scale", "f")], [op("scale", "f"), op("scale_add", "fff")]] {
        assert_eq!(error(|| check::operands(&ops, "scale", 1)), None);
        assert_eq!(
            error(|| check::operands(&ops, "scale", 0)).unwrap(),
            "op `scale` has 1 operand, and is called with 0"
        );
        assert_eq!(error(|| check::operands(&ops, "scale_add", 3)), None);
        assert_eq!(error(|| check::operand(&ops, "scale_add", 2, 'f')), None);
        for other in ["scal", "scale_", "add", ""] {
            assert!(error(|| check::op(&ops, "lib", other)).is_some_and(|said| said.contains("is not an op of `lib`")));
            assert!(error(|| check::second_phase(&ops, "lib", other)).is_some(), "{other}");
        }
    }
}
