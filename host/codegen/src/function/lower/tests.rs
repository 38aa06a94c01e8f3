//! What moves past what: a value is computed where it is used, unless what it reads changes before, or it may trap.

use std::collections::BTreeSet;

use crate::{Module, Options, emit};

/// The body of a function of `parameters` and `instructions`, a line each.
fn body(parameters: &str, instructions: &str) -> Vec<String> {
    body_with(&Options::default(), parameters, instructions)
}

fn body_with(options: &Options, parameters: &str, instructions: &str) -> Vec<String> {
    let text = format!(
        "(module (memory 1) (global $g (mut i32) (i32.const 0))
            (func $callee (param i32) (result i32) local.get 0)
            (func $two (param i32) (result i32 i32) local.get 0 i32.const 1)
            (func (export \"f\") {parameters} {instructions}))"
    );
    let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let source = Module::read(&wasm).and_then(|module| emit(&module, options)).unwrap().source();
    // Of the last function.
    let lines: Vec<_> = source.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    let start = lines.iter().rposition(|line| line.starts_with("static ")).unwrap() + 1;
    // Variables are declared first.
    lines[start..lines.len() - 1].iter().filter(|line| !line.contains(" = 0")).cloned().collect()
}

#[test]
fn a_load_stays_before_a_store() {
    let text = body("(param i32) (result i32)", "local.get 0 i32.load local.get 0 i32.const 7 i32.store");
    assert_eq!(text, ["t2 = i32_load(m, n0, 0u);", "i32_store(m, n0, 0u, 7u);", "return t2;"]);
}

#[test]
fn a_global_is_read_before_it_is_assigned() {
    let text = body("(result i32)", "global.get $g i32.const 5 global.set $g");
    assert_eq!(text, ["t1 = w.g_;", "w.g_ = 5u;", "return t1;"]);
}

#[test]
fn a_variable_is_read_before_it_is_assigned() {
    let text = body("(param i32) (result i32)", "local.get 0 i32.const 5 local.set 0");
    assert_eq!(text, ["t2 = n0;", "n0 = 5u;", "return t2;"]);
}

#[test]
fn arithmetic_moves_past_a_store() {
    let product = "local.get 0 i32.const 3 i32.mul";
    let text = body("(param i32) (result i32)", &format!("{product} local.get 0 i32.const 7 i32.store"));
    assert_eq!(text, ["i32_store(m, n0, 0u, 7u);", "return n0 * 3u;"]);
}

#[test]
fn what_may_trap_stays_before_a_store() {
    let quotient = "i32.const 3 local.get 0 i32.div_u";
    let text = body("(param i32) (result i32)", &format!("{quotient} local.get 0 i32.const 7 i32.store"));
    assert_eq!(text, ["t2 = i32_div_u(3u, n0);", "i32_store(m, n0, 0u, 7u);", "return t2;"]);
}

#[test]
fn traps_stay_in_order() {
    let text = body(
        "(param i32 i32) (result i32)",
        "i32.const 3 local.get 0 i32.div_u i32.const 3 local.get 1 i32.rem_u i32.add",
    );
    assert_eq!(text, ["t3 = i32_div_u(3u, n0);", "return t3 + i32_rem_u(3u, n1);"]);
}

#[test]
fn a_division_by_a_constant_does_not_trap() {
    let text = body("(param i32) (result i32)", "local.get 0 i32.const 10 i32.div_u local.get 0 i32.const 7 i32.store");
    assert_eq!(text, ["i32_store(m, n0, 0u, 7u);", "return n0 / 10u;"]);
}

#[test]
fn a_load_stays_before_a_call() {
    let text = body("(param i32) (result i32)", "local.get 0 i32.load local.get 0 call $callee i32.add");
    assert_eq!(text, ["t2 = i32_load(m, n0, 0u);", "t3 = callee_(w, m, n0);", "return t2 + t3;"]);
}

#[test]
fn the_result_of_a_call_goes_where_it_is_wanted() {
    let text = body("(param i32) (result i32)", "local.get 0 call $callee local.set 0 local.get 0");
    assert_eq!(text, ["n0 = callee_(w, m, n0);", "return n0;"]);
}

#[test]
fn both_values_of_a_selection_are_loaded() {
    let loads = "local.get 0 i32.load local.get 0 i32.load offset=4";
    let text = body("(param i32) (result i32)", &format!("{loads} local.get 0 select"));
    let loaded = ["t2 = i32_load(m, n0, 0u);", "t3 = i32_load(m, n0, 4u);"];
    assert_eq!(text, [&loaded[..], &["return n0 != 0u ? t2 : t3;"]].concat());
}

#[test]
fn what_nobody_wants_is_computed_for_its_trap_alone() {
    let text = body("(param i32)", "local.get 0 i32.const 1 i32.add drop i32.const 3 local.get 0 i32.div_u drop");
    assert_eq!(text, ["(void)(i32_div_u(3u, n0));"]);
}

#[test]
fn every_comparison_is_an_operator() {
    let operators = [("eq", "=="), ("ne", "!="), ("lt", "<"), ("gt", ">"), ("le", "<="), ("ge", ">=")];
    for (ty, v) in [("i32", "n"), ("i64", "k"), ("f32", "x"), ("f64", "y")] {
        for (name, operator) in operators {
            let is_ordered = ty.starts_with('i') && !matches!(name, "eq" | "ne");
            for suffix in if is_ordered { &["_s", "_u"][..] } else { &[""] } {
                let instruction = format!("{ty}.{name}{suffix}");
                let text =
                    body(&format!("(param {ty} {ty}) (result i32)"), &format!("local.get 0 local.get 1 {instruction}"));
                let compared = if *suffix == "_s" {
                    format!("{ty}({v}0) {operator} {ty}({v}1)")
                } else {
                    format!("{v}0 {operator} {v}1")
                };
                assert_eq!(text, [format!("return u32({compared});")], "{instruction}");
            }
        }
    }
}

#[test]
fn a_variable_has_the_type_of_its_value() {
    for (ty, expected) in [("i32", "u32 n0"), ("i64", "u64 k0"), ("f32", "f32 x0"), ("f64", "f64 y0")] {
        let wasm = wat::parse_str(format!("(module (func (param {ty}) (result {ty}) local.get 0))")).unwrap();
        let source = Module::read(&wasm).and_then(|module| emit(&module, &Options::default())).unwrap().source();
        assert!(source.contains(&format!(", {expected})")), "{source}");
    }
}

#[test]
fn the_result_of_a_block_is_what_its_end_or_a_branch_leaves() {
    let instructions = "block (result i32)
            local.get 0 i32.load
            local.get 0 br_if 0
            i32.const 1 i32.add
        end
        i32.const 3 i32.mul";
    let text = body("(param i32) (result i32)", instructions);
    let choice = ["if (t4 != 0u) {", "t2 = t3;", "} else {", "t2 = t3 + 1u;", "}"];
    assert_eq!(text, [&["t3 = i32_load(m, n0, 0u);", "t4 = n0;"][..], &choice, &["return t2 * 3u;"]].concat());
}

/// The numbers of a basic block are added once for each time that it is run.
#[test]
fn operations_are_counted_once_for_each_basic_block() {
    let counting = Options { count: Some(BTreeSet::new()), ..Options::default() };
    let text = body_with(
        &counting,
        "(param i32 f32) (result f32)",
        "local.get 1 local.get 1 f32.mul local.get 1 f32.add local.get 1 f32.sqrt f32.div local.set 1
         local.get 0 i32.load if local.get 1 f32.neg local.set 1 end
         loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end
         local.get 1",
    );
    let counts: Vec<_> = text.iter().filter(|line| line.contains("gpsimd_operations_here")).collect();
    insta::assert_debug_snapshot!(counts, @r#"
    [
        "gpsimd_operations_here.scalar.float_ += 2; gpsimd_operations_here.scalar.divide += 2; gpsimd_operations_here.scalar.memory += 1; gpsimd_operations_here.scalar.branch += 1;",
        "gpsimd_operations_here.scalar.float_ += 1;",
        "gpsimd_operations_here.scalar.integer += 1; gpsimd_operations_here.scalar.branch += 1;",
    ]
    "#);
    assert!(!body("(param i32) (result i32)", "local.get 0 i32.load").concat().contains("gpsimd_operations_here"));
}

/// A loop that has no effect may not be one without an end: C++ takes it that such loops end.
#[test]
fn a_loop_whose_counter_may_pass_its_end_is_not_said_to_end() {
    let of = |bounds_checks: bool, by: u32, compare: &str, rest: &str| {
        let instructions =
            format!("loop {rest} local.get 0 i32.const {by} i32.add local.tee 0 local.get 1 {compare} br_if 0 end");
        let options = Options { bounds_checks, ..Options::default() };
        let text = body_with(&options, "(param i32 i32 i32)", &instructions).join(" ");
        (text.contains("expect_multiple(n1 - n0, "), text.contains("__asm__ volatile"))
    };
    let (store, call) = ("local.get 1 i32.const 7 i32.store", "local.get 0 call $callee drop");
    let (load, fill) = ("local.get 1 i32.load local.set 2", "local.get 1 i32.const 0 i32.const 8 memory.fill");
    for rest in [store, load, fill] {
        assert_eq!(of(false, 4, "i32.ne", rest), (true, false), "{rest}");
        assert_eq!(of(true, 4, "i32.ne", rest), (false, true), "{rest} may trap, which is seen");
    }
    for (by, compare, rest, expected) in [
        // An odd step meets every number.
        (1, "i32.ne", "", (false, false)),
        (3, "i32.ne", store, (false, false)),
        // An even one the multiples alone: what else would run for ever waits before the loop, if nobody else could tell.
        (4, "i32.ne", "", (true, false)),
        (4, "i32.ne", call, (false, true)),
        // A number may lie past the end without being met.
        (4, "i32.lt_u", "", (false, true)),
        (1, "i32.lt_u", "", (false, false)),
        (1, "i32.lt_s", "", (false, true)),
        (0, "i32.ne", "", (false, true)),
        // Something else changes the counter.
        (1, "i32.ne", "i32.const 0 call $two local.set 0 local.set 2", (false, true)),
        (1, "i32.ne", "local.get 2 local.set 0", (false, true)),
    ] {
        assert_eq!(of(false, by, compare, rest), expected, "{by} {compare} {rest}");
    }
}

#[test]
fn a_loop_is_left_and_repeated_by_break_and_continue_where_these_do() {
    let instructions = "block $out
            loop $again
                block $inside
                    local.get 0 i32.load br_if $inside
                    local.get 0 i32.load offset=4 br_if $out
                    local.get 0 i32.const 9 i32.store
                end
                local.get 0 i32.const 4 i32.add local.set 0
                local.get 0 i32.load offset=8 if local.get 0 i32.const 7 i32.store br $again end
                local.get 0 i32.const 8 i32.store
                br $again
            end
        end
        local.get 0";
    insta::assert_snapshot!(body("(param i32) (result i32)", instructions).join("\n"), @r#"
    for (;;) {
    __asm__ volatile("");
    if (i32_load(m, n0, 0u) == 0u) {
    if (i32_load(m, n0, 4u) != 0u) {
    break;
    }
    i32_store(m, n0, 0u, 9u);
    }
    n0 += 4u;
    if (i32_load(m, n0, 8u) != 0u) {
    i32_store(m, n0, 0u, 7u);
    continue;
    }
    i32_store(m, n0, 0u, 8u);
    }
    return n0;
    "#);
}

/// The outer loop ends where the inner one does, which a block in it breaks.
#[test]
fn a_loop_that_ends_with_one_that_a_block_leaves_ends_too() {
    let instructions = "loop $outer
            local.get 0 i32.load if local.get 0 i32.const 7 i32.store br $outer end
            block $left
                loop $inner
                    block $inside
                        local.get 0 i32.load offset=4 if
                            local.get 0 i32.load offset=12 br_if $inside
                            local.get 0 i32.const 2 i32.store
                        end
                        local.get 0 i32.const 1 i32.store
                        local.get 0 i32.load offset=8 br_if $inside
                        br $left
                    end
                    local.get 0 i32.const 4 i32.add local.set 0
                    br $inner
                end
            end
        end
        local.get 0";
    insta::assert_snapshot!(body("(param i32) (result i32)", instructions).join("\n"), @r#"
    for (;;) {
    __asm__ volatile("");
    if (i32_load(m, n0, 0u) != 0u) {
    i32_store(m, n0, 0u, 7u);
    continue;
    }
    for (;;) {
    __asm__ volatile("");
    if (i32_load(m, n0, 4u) != 0u) {
    if (i32_load(m, n0, 12u) != 0u) {
    goto after_6;
    }
    i32_store(m, n0, 0u, 2u);
    }
    i32_store(m, n0, 0u, 1u);
    if (i32_load(m, n0, 8u) != 0u) {
    goto after_6;
    }
    break;
    after_6:;
    n0 += 4u;
    }
    break;
    }
    return n0;
    "#);
}
