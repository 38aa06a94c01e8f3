//! Printed expressions mean in C++ what the tree means in WebAssembly.

use proptest::prelude::*;
use wasmparser::ValType;

use super::ExpressionPrinter;
use crate::cpp::Names;
use crate::function::Named;
use crate::function::expression::{BinaryOp, Builtin, Comparison, Expression, Relation};
use crate::module::Constant;

use BinaryOp::{Add, And, Compare, Div, Mul, Or, Rem, Shl, Shr, Sub, Xor};

/// `n0` to `n3`.
fn variables() -> Vec<Named> {
    (0..4).map(|i| Named { name: format!("n{i}"), ty: ValType::I32, is_temporary: false }).collect()
}

fn text(expression: &Expression) -> String {
    let printer = ExpressionPrinter { names: &Names::default(), variables: &variables() };
    let text = printer.number(expression).to_string();
    assert!(expression.is_condition() || printer.length(expression) == text.len());
    text
}

fn n(variable: u32) -> Expression {
    Expression::Variable(variable, ValType::I32)
}

fn op(op: BinaryOp, left: Expression, right: Expression) -> Expression {
    Expression::binary(op, left, right)
}

fn less(left: Expression, right: Expression) -> Expression {
    Expression::compare(Relation::Less, left, right)
}

fn select(condition: Expression, yes: Expression, no: Expression) -> Expression {
    Expression::Select(Box::new([condition, yes, no]))
}

#[test]
fn parentheses_are_where_they_are_needed() {
    let signed = Compare(Comparison { relation: Relation::LessOrEqual, is_signed: true });
    let max = Builtin { name: "f32_max", result: ValType::F32, traps: false };
    for (expression, expected) in [
        (op(Add, op(Mul, n(0), n(1)), n(2)), "n0 * n1 + n2"),
        (op(Mul, op(Add, n(0), n(1)), n(2)), "(n0 + n1) * n2"),
        (op(Sub, op(Sub, n(0), n(1)), n(2)), "n0 - n1 - n2"),
        (op(Sub, n(0), op(Sub, n(1), n(2))), "n0 - (n1 - n2)"),
        (op(Add, n(0), op(Add, n(1), n(2))), "n0 + (n1 + n2)"),
        (op(Div, n(0), op(Mul, n(1), n(2))), "n0 / (n1 * n2)"),
        // Compilers warn of what people may misread.
        (op(And, op(Shr, n(0), Expression::u32(3)), n(1)), "(n0 >> 3) & n1"),
        (op(Or, op(And, n(0), n(1)), n(2)), "(n0 & n1) | n2"),
        (op(Xor, op(Xor, n(0), n(1)), n(2)), "n0 ^ n1 ^ n2"),
        (op(Add, n(0), op(Shl, n(1), Expression::u32(2))), "n0 + (n1 << 2)"),
        // WebAssembly shifts by a distance modulo the width.
        (op(Shl, n(0), Expression::u32(33)), "n0 << 1"),
        (op(Shl, n(0), n(1)), "n0 << (n1 & 31u)"),
        (op(Shr, Expression::Variable(0, ValType::I64), n(1)), "n0 >> (n1 & 63u)"),
        (less(op(Add, n(0), n(1)), n(2)), "u32(n0 + n1 < n2)"),
        (op(Add, less(n(0), n(1)), n(2)), "u32(n0 < n1) + n2"),
        (op(signed, op(Add, n(0), n(1)), n(2)), "u32(i32(n0 + n1) <= i32(n2))"),
        (select(less(n(0), n(1)), op(Add, n(0), n(1)), n(2)), "n0 < n1 ? n0 + n1 : n2"),
        (op(Add, select(less(n(0), n(1)), n(2), n(3)), n(0)), "(n0 < n1 ? n2 : n3) + n0"),
        (op(Shl, Expression::MemoryPages, Expression::u32(16)), "(w.memory_bytes >> 16) << 16"),
        (
            op(Sub, Expression::Variable(0, ValType::F32), Expression::Constant(Constant::F32((-1.5f32).to_bits()))),
            "n0 - -1.5f",
        ),
        (Expression::Builtin(max, vec![op(Add, n(0), n(1)), n(2)]), "f32_max(n0 + n1, n2)"),
    ] {
        assert_eq!(text(&expression), expected);
    }
}

#[test]
fn negated_conditions_hold_where_the_condition_does_not() {
    let float = |variable| Expression::Variable(variable, ValType::F32);
    for (condition, expected) in [
        (n(0), "u32(n0 == 0u)"),
        (less(n(0), n(1)), "u32(n0 >= n1)"),
        // Both are false of a NaN.
        (less(float(0), float(1)), "u32(!(n0 < n1))"),
        (less(float(0), float(1)).negated(), "u32(n0 < n1)"),
        (Expression::compare(Relation::Equal, float(0), float(1)), "u32(n0 != n1)"),
    ] {
        assert_eq!(text(&condition.negated()), expected);
    }
}

const OPS: [BinaryOp; 12] = [
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    Compare(Comparison { relation: Relation::Less, is_signed: false }),
    Compare(Comparison { relation: Relation::Equal, is_signed: true }),
];

fn expressions() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![(0..4u32).prop_map(n), any::<u32>().prop_map(Expression::u32)];
    leaf.prop_recursive(6, 64, 3, |part| {
        prop_oneof![
            8 => (prop::sample::select(&OPS[..]), part.clone(), part.clone()).prop_map(|(it, a, b)| op(it, a, b)),
            1 => part.clone().prop_map(Expression::negated),
            1 => (part.clone(), part.clone(), part).prop_map(|(a, b, c)| select(a.into_condition(), b, c)),
        ]
    })
}

const VALUES: [u32; 4] = [7, 0, 0xffff_fff0, 33];

/// The value of a tree, as WebAssembly has it; division by zero gives zero in both.
fn value(expression: &Expression) -> u32 {
    let operands: Vec<u32> = expression.operands().iter().map(value).collect();
    match (expression, &operands[..]) {
        (Expression::Constant(Constant::I32(value)), _) => *value,
        (Expression::Variable(variable, _), _) => VALUES[*variable as usize],
        (Expression::Not(_), [condition]) => u32::from(*condition == 0),
        (Expression::Select(_), [condition, yes, no]) => *if *condition == 0 { no } else { yes },
        (Expression::Binary(op, _), [a, b]) => match op {
            Add => a.wrapping_add(*b),
            Sub => a.wrapping_sub(*b),
            Mul => a.wrapping_mul(*b),
            Div => a.checked_div(*b).unwrap_or(0),
            Rem => a.checked_rem(*b).unwrap_or(0),
            And => a & b,
            Or => a | b,
            Xor => a ^ b,
            Shl => a.wrapping_shl(*b),
            Shr => a.wrapping_shr(*b),
            Compare(comparison) => u32::from(match comparison.relation {
                Relation::Equal => a == b,
                Relation::NotEqual => a != b,
                Relation::Less => a < b,
                Relation::Greater => a > b,
                Relation::LessOrEqual => a <= b,
                Relation::GreaterOrEqual => a >= b,
            }),
        },
        other => unreachable!("{other:?}"),
    }
}

/// C++'s grammar of expressions, as far as it is printed: from what binds loosest, infix operators of equal precedence
/// from left to right.
const INFIX: [&[&str]; 8] =
    [&["|"], &["^"], &["&"], &["==", "!="], &["<", ">", "<=", ">="], &["<<", ">>"], &["+", "-"], &["*", "/", "%"]];

struct Parser<'t> {
    tokens: Vec<&'t str>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        let mut tokens = Vec::new();
        for word in text.split(' ') {
            let mut rest = word;
            while !rest.is_empty() {
                let length = match rest.find(['(', ')']) {
                    Some(0) => 1,
                    Some(at) => at,
                    None => rest.len(),
                };
                // `!` stands before what it negates.
                let length = if rest.starts_with('!') && !rest.starts_with("!=") { 1 } else { length };
                tokens.push(&rest[..length]);
                rest = &rest[length..];
            }
        }
        tokens.reverse();
        Self { tokens }
    }

    fn take(&mut self) -> &'t str {
        self.tokens.pop().expect("a token")
    }

    fn expect(&mut self, token: &str) {
        assert_eq!(self.take(), token);
    }

    fn choice(&mut self) -> u32 {
        let condition = self.infix(0);
        if self.tokens.last() != Some(&"?") {
            return condition;
        }
        self.expect("?");
        let yes = self.choice();
        self.expect(":");
        let no = self.choice();
        if condition == 0 { no } else { yes }
    }

    fn infix(&mut self, level: usize) -> u32 {
        let Some(symbols) = INFIX.get(level) else { return self.primary() };
        let mut a = self.infix(level + 1);
        while let Some(symbol) = self.tokens.last().copied().filter(|token| symbols.contains(token)) {
            self.expect(symbol);
            let b = self.infix(level + 1);
            a = match symbol {
                "|" => a | b,
                "^" => a ^ b,
                "&" => a & b,
                "==" => u32::from(a == b),
                "!=" => u32::from(a != b),
                "<" => u32::from(a < b),
                ">" => u32::from(a > b),
                "<=" => u32::from(a <= b),
                ">=" => u32::from(a >= b),
                "<<" => a.checked_shl(b).expect("a distance below the width"),
                ">>" => a.checked_shr(b).expect("a distance below the width"),
                "+" => a.wrapping_add(b),
                "-" => a.wrapping_sub(b),
                "*" => a.wrapping_mul(b),
                "/" => a.checked_div(b).unwrap_or(0),
                _ => a.checked_rem(b).unwrap_or(0),
            };
        }
        a
    }

    fn primary(&mut self) -> u32 {
        match self.take() {
            "!" => u32::from(self.primary() == 0),
            // Casts that change no bit.
            "u32" | "i32" => self.primary(),
            "(" => {
                let value = self.choice();
                self.expect(")");
                value
            }
            token => match token.strip_prefix('n') {
                Some(variable) => VALUES[variable.parse::<usize>().expect("a variable")],
                None => number(token),
            },
        }
    }
}

fn number(token: &str) -> u32 {
    let digits = token.trim_end_matches('u');
    let value = digits.strip_prefix("0x").map_or_else(|| digits.parse(), |digits| u32::from_str_radix(digits, 16));
    value.unwrap_or_else(|error| panic!("{token}: {error}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_text_of_an_expression_has_its_value(expression in expressions()) {
        let text = text(&expression);
        let mut parser = Parser::new(&text);
        prop_assert_eq!(parser.choice(), value(&expression), "{}", text);
        prop_assert!(parser.tokens.is_empty(), "{}", text);
    }
}
