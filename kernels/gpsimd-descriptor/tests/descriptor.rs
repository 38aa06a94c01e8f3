//! What a descriptor may not say of outputs, gradients and phases, which the macros refuse in Rust and C++ ops do not have.

use gpsimd_descriptor::LibraryDescriptor;

/// A library of two ops: `sum`, whose second phase is `add`; the JSON, with `from` replaced by `to`.
fn message(from: &str, to: &str) -> Option<String> {
    let json = r#"{"name": "lib", "version": "1", "ops": [
        {"name": "sum", "doc": "", "file": "",
         "operands": [{"name": "x", "kind": {"tensor": "f32"}}, {"name": "rate", "kind": {"scalar": "f32"}},
                      {"name": "k", "kind": "size"}],
         "outputs": [{"name": "partials", "element": "f32"}],
         "then": {"op": "add", "arguments": ["partials", "rate", "k"]},
         "gradients": [{"operands": ["x"], "op": "spread", "arguments": [{"grad": ""}]}]},
        {"name": "add", "doc": "", "file": "",
         "operands": [{"name": "partials", "kind": {"tensor": "f32"}}, {"name": "rate", "kind": {"scalar": "f32"}},
                      {"name": "k", "kind": "size"}],
         "outputs": [{"name": "y", "element": "f32"}], "gradients": []},
        {"name": "spread", "doc": "", "file": "", "operands": [{"name": "dy", "kind": {"tensor": "f32"}}],
         "outputs": [{"name": "dx", "element": "f32"}], "gradients": []}
    ]}"#;
    assert!(json.contains(from), "{from}");
    LibraryDescriptor::parse(json.replacen(from, to, 1).as_bytes()).err().map(|error| error.to_string())
}

#[test]
fn the_outputs_of_an_op_of_two_phases_are_those_of_the_second() {
    assert_eq!(message("sum", "sum"), None);
}

#[test]
fn what_phases_may_not_be() {
    for (from, to, expected) in [
        (r#""op": "add""#, r#""op": "sum""#, "op `sum`: its second phase is `sum`, expected an op of one phase"),
        (r#""op": "add""#, r#""op": "none""#, "op `sum` refers to `none`, which is no op of the library"),
        (
            r#""partials", "element": "f32"}"#,
            r#""partials", "element": "f32", "replaces": "x"}"#,
            "op `sum` has two phases, and the first replaces `x`; only ops of one phase replace operands",
        ),
        (
            r#"["partials", "rate", "k"]"#,
            r#"["partials", "rate"]"#,
            "op `sum`: its gradient calls `add` with 2 arguments, expected 3",
        ),
        (
            r#"["partials", "rate", "k"]"#,
            r#"["rate", "rate", "k"]"#,
            "op `sum`: its second phase gets `rate` for operand number 1, which is of another kind",
        ),
        (
            r#"["partials", "rate", "k"]"#,
            r#"["partials", "k", "rate"]"#,
            "op `sum`: its second phase gets `k` for operand number 2, which is of another kind",
        ),
        (
            r#"["partials", "rate", "k"]"#,
            r#"["partials", "rate", "partials"]"#,
            "op `sum`: its second phase gets `partials` for operand number 3, which is of another kind",
        ),
    ] {
        assert_eq!(message(from, to).as_deref(), Some(expected), "{to}");
    }
}

#[test]
fn what_outputs_and_gradients_may_not_be() {
    for (from, to, expected) in [
        (r#"[{"name": "partials", "element": "f32"}]"#, "[]", "op `sum` has 0 outputs, expected 1 to 8"),
        (
            r#"[{"name": "y", "element": "f32"}]"#,
            r#"[{"name": "y", "element": "f32"}, {"name": "z", "element": "f32"}]"#,
            "op `sum`: its gradient uses `grad`, and its second phase has several outputs: say whose, `grad(output)`",
        ),
        (
            r#"[{"name": "dx", "element": "f32"}]"#,
            r#"[{"name": "dx", "element": "f32"}, {"name": "da", "element": "f32"}]"#,
            "op `sum`: its gradient is of 1 operands, and `spread` has 2 outputs, expected 1 or 1",
        ),
        (r#"{"grad": ""}"#, r#"{"grad": "partials"}"#, "op `sum` refers to `partials`, which is no output"),
        (r#"{"grad": ""}"#, r#"{"output": "z"}"#, "op `sum` refers to `z`, which is no output"),
        (
            r#""dx", "element": "f32"}"#,
            r#""dx", "element": "f32", "replaces": "z"}"#,
            "op `spread` refers to `z`, which is no tensor operand",
        ),
        (r#""name": "dx""#, r#""name": "dy""#, "output name `dy` is taken twice"),
    ] {
        assert_eq!(message(from, to).as_deref(), Some(expected), "{to}");
    }
}
