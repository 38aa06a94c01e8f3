//! [`Schema`]: what a schema in PyTorch's notation says of an op's types.

/// Types of an op's operands and results, in order. Names are not part of it, nor whether results stand in parentheses:
/// where a schema comes from C++ the tools make names up (`_0`, `_1`, ...), and print results as `(Tensor _0)`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Schema<'a> {
    operands: Vec<&'a str>,
    results: Vec<&'a str>,
}

impl<'a> Schema<'a> {
    /// The types of `library::op(Tensor x, float a=1.0) -> Tensor` and the like; `None` of what is not a schema.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (operands, rest) = parenthesised(text.get(text.find('(')?..)?)?;
        let results = rest.trim_start().strip_prefix("->")?.trim();
        let results = match parenthesised(results) {
            Some((results, rest)) if rest.trim().is_empty() => results,
            _ => results,
        };
        Some(Self { operands: types(operands)?, results: types(results)? })
    }
}

/// `op` of `op`, `library::op`, `library::op.overload` and `library::op(Tensor x) -> Tensor`.
pub(super) fn op_name(text: &str) -> &str {
    let name = text.split('(').next().unwrap_or(text).trim();
    let name = name.rsplit("::").next().unwrap_or(name);
    name.split('.').next().unwrap_or(name)
}

/// What stands between the parenthesis that `text` starts with and the one that closes it, and what follows.
fn parenthesised(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('(')?;
    let mut depth = 1;
    for (at, character) in inner.char_indices() {
        depth += nesting(character);
        if depth == 0 {
            return Some((&inner[..at], &inner[at + 1..]));
        }
    }
    None
}

/// The types of declarations with commas between them.
fn types(declarations: &str) -> Option<Vec<&str>> {
    let mut depth = 0;
    let separates = |character| {
        depth += nesting(character);
        depth == 0 && character == ','
    };
    let declarations: Vec<&str> = declarations.split(separates).map(str::trim).collect();
    if declarations == [""] {
        return Some(Vec::new());
    }
    // `*` only says that what follows is passed by name.
    declarations.into_iter().filter(|declaration| *declaration != "*").map(type_of).collect()
}

/// `Tensor` of `Tensor x` and `Tensor(a!) x`; `None` without a type.
fn type_of(declaration: &str) -> Option<&str> {
    let word = declaration.split_whitespace().next()?;
    word.split('(').next().filter(|name| !name.is_empty())
}

fn nesting(character: char) -> i32 {
    match character {
        '(' | '[' => 1,
        ')' | ']' => -1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_types_are_the_same_schema() {
        let expected = Schema::parse("scale(Tensor x, Tensor params) -> Tensor").unwrap();
        for other in [
            "lib::scale(Tensor _0, Tensor _1) -> (Tensor _0)",
            "scale(Tensor _0, Tensor _1) -> Tensor _0",
            "lib::scale.default( Tensor x,Tensor params )->(Tensor)",
            "scale(Tensor(a!) x, *, Tensor params=None) -> Tensor(a!)",
        ] {
            assert_eq!(Schema::parse(other).as_ref(), Some(&expected), "{other}");
            assert_eq!(op_name(other), "scale", "{other}");
        }
    }

    #[test]
    fn other_types_are_another_schema() {
        let expected = Schema::parse("f(Tensor x, float a) -> Tensor");
        for other in [
            "f(Tensor x) -> Tensor",
            "f(float a, Tensor x) -> Tensor",
            "f(Tensor x, float a) -> (Tensor, Tensor)",
            "f(Tensor x, float a) -> ()",
            "f(Tensor x, float[] a) -> Tensor",
            "f(Tensor? x, float a) -> Tensor",
            "f(Tensor x, float a=[1, 2], int b=0) -> Tensor",
        ] {
            assert!(Schema::parse(other).is_some(), "{other}");
            assert_ne!(Schema::parse(other), expected, "{other}");
        }
    }

    #[test]
    fn what_is_not_a_schema_has_no_types() {
        for text in ["", "f", "f(", "f(Tensor x", "f(Tensor x)", "f)Tensor x( -> Tensor", "f(, ) -> Tensor", "f() ->("]
        {
            assert_eq!(Schema::parse(text), None, "{text}");
        }
        assert_eq!(Schema::parse("f() -> ()"), Some(Schema { operands: Vec::new(), results: Vec::new() }));
    }
}
