//! Which loops are said to be hot, and how recursive functions are kept from running out of stack.

use gpsimd_codegen::Package;

use crate::images::{image, package};

const RUN: &str = "(func $my_ops::scale::run (export \"run:scale\") (result i32)\n    i32.const 0)";

/// The package when the op's function is `locals` and `body`, with `functions` beside it.
fn generated(locals: &str, body: &str, functions: &str) -> Package {
    let run = format!(
        "{functions} (func $my_ops::scale::run (export \"run:scale\") (result i32) {locals}\n    {body}\n    i32.const 0)"
    );
    package(&image(&[(RUN, &run)])).unwrap_or_else(|error| panic!("{error}"))
}

/// Its kernel's C++.
fn kernel(locals: &str, body: &str, functions: &str) -> String {
    generated(locals, body, functions).kernels
}

const LOCALS: &str = "(local $n i32) (local $at i32)";

/// A loop over floats that runs `$n` times.
const LOOP: &str = "
    loop $next
      local.get $at  local.get $at f32.load  f32.const 2  f32.mul  f32.store
      local.get $at i32.const 4 i32.add local.set $at
      local.get $n i32.const 1 i32.sub local.tee $n
      br_if $next
    end";

/// `$n` is the remainder of a row after vectors.
const TAIL: &str = "call $core_id i32.const 15 i32.and local.set $n";

fn loops(before: &str) -> (usize, usize) {
    let text = kernel(LOCALS, &format!("{before} {LOOP}"), "");
    (text.matches("do {  // hot").count(), text.matches("do {  // fewer than 16 times").count())
}

#[test]
fn a_loop_over_a_row_is_hot() {
    assert_eq!(loops("call $core_id local.set $n"), (1, 0));
}

#[test]
fn a_loop_over_what_is_left_of_a_row_is_not_hot() {
    assert_eq!(loops(TAIL), (0, 1));
}

#[test]
fn a_counter_that_one_branch_makes_large_is_not_what_is_left_of_a_row() {
    let large = "call $core_id if i32.const 64 local.set $n end";
    assert_eq!(loops(&format!("{TAIL} {large}")), (1, 0));
}

#[test]
fn a_counter_that_one_jump_leaves_large_is_not_what_is_left_of_a_row() {
    let jump = "block $after call $core_id local.tee $n br_if $after";
    assert_eq!(loops(&format!("{jump} {TAIL} end")), (1, 0));
    let small = "block $after call $core_id i32.const 15 i32.and local.tee $n br_if $after";
    assert_eq!(loops(&format!("{small} {TAIL} end")), (0, 1));
}

#[test]
fn a_counter_that_a_loop_changes_is_not_what_is_left_of_a_row() {
    let text = kernel(LOCALS, &format!("{TAIL} loop $rows {LOOP} call $core_id local.tee $n br_if $rows end"), "");
    assert_eq!(text.matches("do {  // hot").count(), 1, "{text}");
}

/// A loop over integers that runs `$n` times, from one row to another, and what it does with an element.
fn integer_loop(load: &str, store: &str, bytes: u32, body: &str) -> String {
    format!(
        "call $core_id i32.const 64 i32.add local.set $to
        loop $next
          local.get $to  local.get $at {load}  i32.const 3  i32.add  {store}
          {body}
          local.get $at i32.const {bytes} i32.add local.set $at
          local.get $to i32.const {bytes} i32.add local.set $to
          local.get $n i32.const 1 i32.sub local.tee $n
          br_if $next
        end"
    )
}

const INTEGER_LOCALS: &str = "(local $n i32) (local $at i32) (local $to i32)";

/// The lanes of the hot loops of a kernel.
fn lanes(body: &str) -> Vec<usize> {
    let package = generated(INTEGER_LOCALS, body, "");
    package.definitions.iter().flat_map(|definition| &definition.hot_loops).map(|hot| hot.lanes).collect()
}

#[test]
fn a_loop_over_a_row_of_integers_is_hot_in_as_many_lanes_as_a_vector_has() {
    let all = "call $core_id local.set $n";
    for (load, store, bytes) in
        [("i32.load8_u", "i32.store8", 1), ("i32.load16_s", "i32.store16", 2), ("i32.load", "i32.store", 4)]
    {
        assert_eq!(lanes(&format!("{all} {}", integer_loop(load, store, bytes, ""))), [64 / bytes as usize]);
    }
}

#[test]
fn a_loop_over_the_remainder_of_a_row_of_integers_is_not_hot() {
    let remainder = |mask: u32| format!("call $core_id i32.const {mask} i32.and local.set $n");
    let bytes = integer_loop("i32.load8_u", "i32.store8", 1, "");
    assert_eq!(lanes(&format!("{} {bytes}", remainder(63))), [0; 0]);
    let words = integer_loop("i32.load", "i32.store", 4, "");
    assert_eq!(lanes(&format!("{} {words}", remainder(63))), [16], "more than a vector");
    assert_eq!(lanes(&format!("{} {words}", remainder(15))), [0; 0]);
}

#[test]
fn the_lesser_of_a_remainder_and_another_number_is_a_remainder() {
    let words = integer_loop("i32.load", "i32.store", 4, "");
    let lesser = "call $core_id i32.const 15 i32.and local.set $n  call $core_id local.set $at
        local.get $n local.get $at  local.get $n local.get $at i32.lt_u  select local.set $n";
    assert_eq!(lanes(&format!("{lesser} {words}")), [0; 0]);
    // By the other comparison, and with the other order of both.
    let by_greater =
        lesser.replace("i32.lt_u", "i32.gt_u").replace("local.get $n local.get $at  ", "local.get $at local.get $n  ");
    assert_eq!(lanes(&format!("{by_greater} {words}")), [0; 0]);
}

#[test]
fn what_may_be_the_greater_of_a_remainder_and_another_number_is_not_a_remainder() {
    let words = integer_loop("i32.load", "i32.store", 4, "");
    for choice in [
        // The greater, and what as signed numbers is the lesser.
        "local.get $n local.get $at  local.get $n local.get $at i32.gt_u",
        "local.get $at local.get $n  local.get $n local.get $at i32.lt_u",
        "local.get $n local.get $at  local.get $n local.get $at i32.lt_s",
        // By something else.
        "local.get $n local.get $at  local.get $n local.get $to i32.lt_u",
        "local.get $n local.get $at  local.get $n local.get $at i32.eq",
        "local.get $n local.get $at  local.get $to",
    ] {
        let chosen = format!(
            "call $core_id i32.const 15 i32.and local.set $n  call $core_id local.tee $at local.set $to
            {choice} select local.set $n"
        );
        assert_eq!(lanes(&format!("{chosen} {words}")), [16], "{choice}");
    }
}

#[test]
fn a_loop_that_stores_behind_what_it_found_is_not_hot() {
    // Ahead by 4 where the element is not 0.
    let found = "local.get $to  local.get $at i32.load i32.const 0 i32.ne i32.const 2 i32.shl  i32.add local.set $to";
    let body = format!("call $core_id local.set $n {}", integer_loop("i32.load", "i32.store", 4, found));
    assert_eq!(lanes(&body), [0; 0]);
}

/// A function that calls itself.
const AGAIN: &str = "(func $again (param i32) (result i32)
        local.get 0 if (result i32) local.get 0 i32.const 1 i32.sub call $again else i32.const 7 end)";

#[test]
fn a_package_says_where_its_functions_and_hot_loops_are() {
    let call = "call $core_id call $again drop";
    let package = generated(LOCALS, &format!("call $core_id local.set $n {LOOP} {call}"), AGAIN);
    let lines: Vec<&str> = package.kernels.lines().collect();
    let line = |number: &usize| lines[number - 1];
    let mut hot = Vec::new();
    for definition in &package.definitions {
        let (first, last) = (line(definition.lines.start()), line(definition.lines.end()));
        let is_recursive = definition.function == "again_";
        assert!(is_recursive || first.contains(&format!(" {}(", definition.function)), "{first}");
        assert!(first.ends_with('{') && last == "}", "{first} {last}");
        hot.extend(
            definition
                .hot_loops
                .iter()
                .map(|hot| (&*definition.function, line(hot.lines.start()), line(hot.lines.end()))),
        );
    }
    assert_eq!(hot, [("my_ops_scale_run", "  do {  // hot", "  } while (n0 != 0u);")]);
    let names: Vec<_> = package.definitions.iter().map(|definition| &*definition.function).collect();
    assert_eq!(names, ["again_", "my_ops_scale_run", "scale"]);
}

#[test]
fn a_function_that_recurs_counts_its_open_calls() {
    let text = kernel("", "call $core_id call $again drop", AGAIN);
    let trap = "gpsimd_trap(\"call stack exhausted: functions call each other more than 64 deep\")";
    assert_eq!(text.matches(trap).count(), 1);
    assert_eq!(text.matches("  open_call(w);\n").count(), 1);
    assert!(!kernel("", "call $core_id drop", "").contains("open_call"), "nothing recurs here");
}
