//! [`Expression`]: a C++ expression that stands for a value on WebAssembly's stack.

use wasmparser::ValType;

/// A variable of a function: an index into its list, locals first.
pub(super) type Variable = u32;

/// A C++ expression, and what has to be known to move it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "four things that an expression may do, each on its own")]
pub(super) struct Expression {
    pub(super) text: String,
    pub(super) ty: ValType,
    /// Whether it is a C++ bool, which WebAssembly calls an i32.
    pub(super) is_bool: bool,
    /// The last operator, unless `text` binds tighter than any.
    pub(super) operator: Option<Operator>,
    /// Variables that it reads, each as often as it does.
    pub(super) reads: Vec<Variable>,
    /// Reads linear memory or a mutable global.
    pub(super) reads_state: bool,
    pub(super) traps: bool,
    /// Has an effect of its own: a call.
    pub(super) acts: bool,
}

/// An infix operator and its operands.
#[derive(Clone, Debug)]
pub(super) struct Operator {
    pub(super) symbol: &'static str,
    pub(super) left: String,
    pub(super) right: String,
}

/// Longer ones become a statement, for the reader's sake.
const LONGEST: usize = 110;

impl Expression {
    pub(super) fn atom(text: impl Into<String>, ty: ValType) -> Self {
        Self {
            text: text.into(),
            ty,
            is_bool: false,
            operator: None,
            reads: Vec::new(),
            reads_state: false,
            traps: false,
            acts: false,
        }
    }

    /// `function(operands)`.
    pub(super) fn call(function: &str, leading: &[&str], operands: &[Self], ty: ValType) -> Self {
        let arguments = leading.iter().map(ToString::to_string).chain(operands.iter().map(Self::value));
        let text = format!("{function}({})", arguments.collect::<Vec<_>>().join(", "));
        Self::atom(text, ty).after(operands)
    }

    /// `left symbol right`.
    pub(super) fn infix(symbol: &'static str, left: &Self, right: &Self, ty: ValType) -> Self {
        let (left_text, right_text) = (left.left_operand(symbol), right.operand());
        Self {
            operator: Some(Operator { symbol, left: left_text.clone(), right: right_text.clone() }),
            ..Self::atom(format!("{left_text} {symbol} {right_text}"), ty)
        }
        .after(&[left.clone(), right.clone()])
    }

    /// With all that the operands read and do.
    pub(super) fn after(mut self, operands: &[Self]) -> Self {
        for operand in operands {
            self.reads.extend(&operand.reads);
            self.reads_state |= operand.reads_state;
            self.traps |= operand.traps;
            self.acts |= operand.acts;
        }
        self
    }

    pub(super) fn boolean(mut self) -> Self {
        self.is_bool = true;
        self
    }

    pub(super) fn is_long(&self) -> bool {
        self.text.len() > LONGEST
    }

    /// As a number, where anything may stand.
    pub(super) fn value(&self) -> String {
        if self.is_bool { format!("u32({})", self.text) } else { self.text.clone() }
    }

    /// As a number, as the operand of an operator.
    pub(super) fn operand(&self) -> String {
        match (&self.operator, self.is_bool) {
            (_, true) => self.value(),
            (None, _) if !self.text.starts_with('-') => self.text.clone(),
            _ => format!("({})", self.text),
        }
    }

    /// As the left operand of `symbol`: `a + b + c` needs no parentheses.
    fn left_operand(&self, symbol: &str) -> String {
        match &self.operator {
            Some(operator) if !self.is_bool && operator.symbol == symbol && matches!(symbol, "+" | "*" | "&" | "|") => {
                self.text.clone()
            }
            _ => self.operand(),
        }
    }

    /// As a condition.
    pub(super) fn condition(&self) -> String {
        if self.is_bool { self.text.clone() } else { format!("{} != 0u", self.operand()) }
    }

    /// As a condition, negated.
    pub(super) fn negated(&self) -> Self {
        let opposite = |symbol| match symbol {
            "==" => Some("!="),
            "!=" => Some("=="),
            // Of numbers that are ordered: integers.
            "<" => Some(">="),
            ">" => Some("<="),
            "<=" => Some(">"),
            ">=" => Some("<"),
            _ => None,
        };
        let text;
        let mut operator = None;
        match &self.operator {
            Some(Operator { symbol, left, right })
                if self.is_bool
                    && (matches!(*symbol, "==" | "!=") || self.ty == ValType::I32)
                    && opposite(symbol).is_some() =>
            {
                let symbol = opposite(symbol).unwrap_or(symbol);
                text = format!("{left} {symbol} {right}");
                operator = Some(Operator { symbol, left: left.clone(), right: right.clone() });
            }
            _ if self.is_bool => text = format!("!({})", self.text),
            _ => {
                text = format!("{} == 0u", self.operand());
                operator = Some(Operator { symbol: "==", left: self.operand(), right: "0u".into() });
            }
        }
        Self { text, operator, is_bool: true, ..self.clone() }
    }
}

/// The C++ type of a value.
pub(crate) fn type_name(ty: ValType) -> &'static str {
    match ty {
        ValType::I64 => "u64",
        ValType::F32 => "f32",
        ValType::F64 => "f64",
        // No other types are accepted.
        _ => "u32",
    }
}

/// A constant of type u32.
pub(crate) fn u32_text(value: u32) -> String {
    if value < 65_536 { format!("{value}u") } else { format!("{value:#x}u") }
}

/// A constant of type u64.
pub(crate) fn u64_text(value: u64) -> String {
    if value < 65_536 { format!("u64({value})") } else { format!("u64({value:#x})") }
}

/// A constant of type f32, to the bit.
pub(crate) fn f32_text(bits: u32) -> String {
    let value = f32::from_bits(bits);
    if value.is_finite() { format!("{value:?}f") } else { format!("f32_reinterpret_i32({bits:#x}u)") }
}

/// A constant of type f64, to the bit.
pub(crate) fn f64_text(bits: u64) -> String {
    let value = f64::from_bits(bits);
    if value.is_finite() { format!("{value:?}") } else { format!("f64_reinterpret_i64(u64({bits:#x}))") }
}

/// The value of a constant expression's text.
pub(super) fn parse_constant(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('u').or_else(|| text.strip_prefix("u64(")?.strip_suffix(')'))?;
    match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => digits.parse().ok(),
    }
}
