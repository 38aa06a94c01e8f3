//! Misuse of the macros is a compile error that points at the right token and says what to write instead.

#[test]
fn misuse_of_the_macros_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
