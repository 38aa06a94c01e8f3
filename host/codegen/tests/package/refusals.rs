//! Why an image is refused: every reason, and what the message says.

use crate::images::{image, package};

/// What is said of [`TEXT`](crate::images::TEXT) with parts of it replaced.
fn refusal(replaced: &[(&str, &str)]) -> String {
    refusal_of(&image(replaced))
}

fn refusal_of(wasm: &[u8]) -> String {
    package(wasm).err().map_or_else(|| "accepted".into(), |error| error.to_string())
}

#[test]
fn the_text_itself_is_accepted() {
    insta::assert_snapshot!(refusal(&[]), @"accepted");
}

/// As WebAssembly has it, growth may fail: the memory is a core's TCM.
#[test]
fn memory_that_a_function_tries_to_grow_is_no_reason() {
    let grows = ("(result i32)\n    i32.const 0)\n  (func", "(result i32) i32.const 1 memory.grow)\n  (func");
    insta::assert_snapshot!(refusal(&[grows]), @"accepted");
}

// ---- Modules ----

#[test]
fn a_file_that_is_no_module() {
    let refusal = refusal_of(b"no module");
    insta::assert_snapshot!(refusal, @"not a WebAssembly module: a kernel image is the .wasm of `cargo gpsimd build`");
}

#[test]
fn a_module_that_is_not_valid() {
    let refusal = refusal(&[(
        "(result i32)\n    i32.const 0)\n  (func $my_ops::scale::shape",
        "(result i32) \n    f32.const 0 drop drop i32.const 0)\n  (func $my_ops::scale::shape",
    )]);
    insta::assert_snapshot!(refusal, @"not a valid WebAssembly module: type mismatch: expected a type but nothing on stack (at offset 0x95)");
}

#[test]
fn simd_in_a_function() {
    let refusal = refusal(&[(
        "(result i32)\n    i32.const 0)\n  (func $my_ops::scale::shape",
        "(result i32) \n    v128.const i32x4 0 0 0 0 drop i32.const 0)\n  (func $my_ops::scale::shape",
    )]);
    insta::assert_snapshot!(refusal, @"function `my_ops::scale::run` needs a WebAssembly feature that no C++ is generated for (SIMD): compile the kernels without target features of your own, the device's compiler makes the vectors");
}

#[test]
fn atomics_in_a_function() {
    let refusal = refusal(&[(
        "(result i32)\n    i32.const 0)\n  (func $my_ops::scale::shape",
        "(result i32) \n    i32.const 0 i32.atomic.load drop i32.const 0)\n  (func $my_ops::scale::shape",
    )]);
    insta::assert_snapshot!(refusal, @"function `my_ops::scale::run` needs a WebAssembly feature that no C++ is generated for (threads support is not enabled): compile the kernels without target features of your own, the device's compiler makes the vectors");
}

#[test]
fn a_tail_call() {
    let refusal = refusal(&[(
        "(result i32)\n    i32.const 0)\n  (func $my_ops::scale::shape",
        "(result i32) \n    return_call $core_id i32.const 0)\n  (func $my_ops::scale::shape",
    )]);
    insta::assert_snapshot!(refusal, @"function `my_ops::scale::run` needs a WebAssembly feature that no C++ is generated for (tail calls support is not enabled): compile the kernels without target features of your own, the device's compiler makes the vectors");
}

#[test]
fn a_reference_to_a_function() {
    let refusal = refusal(&[("(memory 1)", "(memory 1) (elem declare func $core_id)")]);
    insta::assert_snapshot!(refusal, @"the module uses a passive or declared segment of its table, which no C++ is generated for");
}

#[test]
fn an_instruction_on_references() {
    let refusal = refusal(&[(
        "(result i32)\n    i32.const 0)\n  (func $my_ops::scale::shape",
        "(result i32) \n    ref.null func drop i32.const 0)\n  (func $my_ops::scale::shape",
    )]);
    insta::assert_snapshot!(refusal, @"op `scale`: function `my_ops::scale::run` uses the instruction ref.null, which no C++ is generated for");
}

#[test]
fn a_local_that_is_no_number() {
    let refusal = refusal(&[(
        "(result i32)\n    i32.const 0)\n  (func $my_ops::scale::shape",
        "(result i32) (local externref)\n     i32.const 0)\n  (func $my_ops::scale::shape",
    )]);
    insta::assert_snapshot!(refusal, @"op `scale`: function `my_ops::scale::run` uses a local of type externref, which no C++ is generated for");
}

#[test]
fn a_function_of_types_that_are_no_numbers() {
    let refusal = refusal(&[("(memory 1)", "(memory 1) (func (param externref))")]);
    insta::assert_snapshot!(refusal, @"the module uses functions of types that are not numbers, which no C++ is generated for");
}

#[test]
fn a_global_that_is_no_number() {
    let refusal = refusal(&[("(memory 1)", "(memory 1) (global externref (ref.null extern))")]);
    insta::assert_snapshot!(refusal, @"the module uses a global that does not start as a number, which no C++ is generated for");
}

#[test]
fn an_imported_memory() {
    let refusal = refusal(&[
        ("(memory 1)", ""),
        (r#"(import "gpsimd" "core_id""#, r#"(import "env" "memory" (memory 1)) (import "gpsimd" "core_id""#),
    ]);
    insta::assert_snapshot!(refusal, @"the module uses an import that is not a function, which no C++ is generated for");
}

#[test]
fn an_imported_table() {
    let refusal = refusal(&[(
        r#"(import "gpsimd" "core_id""#,
        r#"(import "env" "table" (table 1 funcref)) (import "gpsimd" "core_id""#,
    )]);
    insta::assert_snapshot!(refusal, @"the module uses an import that is not a function, which no C++ is generated for");
}

#[test]
fn an_imported_global() {
    let refusal = refusal(&[(
        r#"(import "gpsimd" "core_id""#,
        r#"(import "env" "global" (global i32)) (import "gpsimd" "core_id""#,
    )]);
    insta::assert_snapshot!(refusal, @"the module uses an import that is not a function, which no C++ is generated for");
}

#[test]
fn a_function_that_the_device_has_not() {
    let refusal = refusal(&[
        (
            r#"(import "gpsimd" "core_id""#,
            r#"(import "env" "sin" (func $sin (param f32) (result f32))) (import "gpsimd" "core_id""#,
        ),
        (
            "(result i32)\n    i32.const 0)\n  (func $my_ops::scale::shape",
            "(result i32) \n    f32.const 0 call $sin drop i32.const 0)\n  (func $my_ops::scale::shape",
        ),
    ]);
    insta::assert_snapshot!(refusal, @"op `scale`: its kernel calls `env.sin`, which the device does not have: it has what the `gpsimd` crate offers");
}

#[test]
fn several_memories() {
    let refusal = refusal(&[("(memory 1)", "(memory 1) (memory 1)")]);
    insta::assert_snapshot!(refusal, @"the module needs a WebAssembly feature that no C++ is generated for (multiple memories): compile the kernels without target features of your own, the device's compiler makes the vectors");
}

#[test]
fn several_tables() {
    let refusal = refusal(&[("(memory 1)", "(memory 1) (table 1 funcref) (table 1 funcref)")]);
    insta::assert_snapshot!(refusal, @"the module uses several tables, or a very large one, which no C++ is generated for");
}

#[test]
fn a_table_that_is_not_of_functions() {
    let refusal = refusal(&[("(memory 1)", "(memory 1) (table 1 externref)")]);
    insta::assert_snapshot!(refusal, @"the module uses a table of something else than functions, which no C++ is generated for");
}

#[test]
fn a_very_large_table() {
    let refusal = refusal(&[("(memory 1)", "(memory 1) (table 65537 funcref)")]);
    insta::assert_snapshot!(refusal, @"the module uses several tables, or a very large one, which no C++ is generated for");
}

#[test]
fn a_table_that_is_written() {
    let refusal = refusal(&[
        ("(memory 1)", "(memory 1) (table 1 funcref)"),
        (
            "(result i32)\n    i32.const 0)\n  (func $my_ops::scale::shape",
            "(result i32) \n    i32.const 0 i32.const 0 table.get 0 table.set 0 i32.const 0)\n  (func $my_ops::scale::shape",
        ),
    ]);
    insta::assert_snapshot!(refusal, @"op `scale`: function `my_ops::scale::run` uses the instruction table.get, which no C++ is generated for");
}

#[test]
fn a_table_that_grows() {
    let refusal = refusal(&[
        ("(memory 1)", "(memory 1) (table 1 funcref)"),
        (
            "(result i32)\n    i32.const 0)\n  (func $my_ops::scale::shape",
            "(result i32) \n    ref.null func i32.const 1 table.grow 0 drop i32.const 0)\n  (func $my_ops::scale::shape",
        ),
    ]);
    insta::assert_snapshot!(refusal, @"op `scale`: function `my_ops::scale::run` uses the instruction ref.null, which no C++ is generated for");
}

#[test]
fn a_table_that_is_copied() {
    let refusal = refusal(&[
        ("(memory 1)", "(memory 1) (table 1 funcref)"),
        (
            "(result i32)\n    i32.const 0)\n  (func $my_ops::scale::shape",
            "(result i32) \n    i32.const 0 i32.const 0 i32.const 0 table.copy i32.const 0)\n  (func $my_ops::scale::shape",
        ),
    ]);
    insta::assert_snapshot!(refusal, @"op `scale`: function `my_ops::scale::run` uses the instruction table.copy, which no C++ is generated for");
}

#[test]
fn a_passive_segment_of_a_table() {
    let refusal = refusal(&[("(memory 1)", "(memory 1) (elem func $core_id)")]);
    insta::assert_snapshot!(refusal, @"the module uses a passive or declared segment of its table, which no C++ is generated for");
}

#[test]
fn a_segment_outside_of_its_table() {
    let refusal = refusal(&[("(memory 1)", "(memory 1) (table 1 funcref) (elem (i32.const 1) func $core_id)")]);
    insta::assert_snapshot!(refusal, @"the module uses a segment outside of its table, which no C++ is generated for");
}

#[test]
fn a_passive_data_segment() {
    let refusal = refusal(&[("(memory 1)", r#"(memory 1) (data "passive")"#)]);
    insta::assert_snapshot!(refusal, @"the module uses a passive data segment, which no C++ is generated for");
}

#[test]
fn a_data_segment_outside_of_the_memory() {
    let refusal = refusal(&[("(memory 1)", r#"(memory 1) (data (i32.const 65536) "x")"#)]);
    insta::assert_snapshot!(refusal, @"the module uses a data segment outside of the memory, which no C++ is generated for");
}

#[test]
fn a_start_function() {
    let refusal = refusal(&[("(memory 1)", "(memory 1) (start $nothing) (func $nothing)")]);
    insta::assert_snapshot!(refusal, @"the module uses a start function, which no C++ is generated for");
}

// ---- Descriptors and exports ----

#[test]
fn an_image_without_a_descriptor() {
    let refusal = refusal(&[(r#""gpsimd.descriptor""#, r#""another""#)]);
    insta::assert_snapshot!(refusal, @"there is no custom section `gpsimd.descriptor`: does the crate call op_library!?");
}

#[test]
fn a_descriptor_that_is_no_json() {
    let refusal = refusal(&[("{'name':'my_ops',", "{'name':")]);
    insta::assert_snapshot!(refusal, @"custom section `gpsimd.descriptor`: the descriptor does not parse: expected `,` or `}` at line 1 column 18");
}

#[test]
fn a_descriptor_without_a_field() {
    let refusal = refusal(&[("'version':'1.0',", "")]);
    insta::assert_snapshot!(refusal, @"custom section `gpsimd.descriptor`: the descriptor does not parse: missing field `version` at line 1 column 177");
}

#[test]
fn a_name_that_is_no_identifier() {
    let refusal = refusal(&[("'name':'scale'", "'name':'a scale'")]);
    insta::assert_snapshot!(refusal, @"custom section `gpsimd.descriptor`: op name `a scale` is not an identifier (ASCII letters, digits and _, not starting with a digit)");
}

#[test]
fn a_name_that_no_cpp_function_can_have() {
    let refusal = refusal(&[("'name':'scale'", "'name':'double'")]);
    insta::assert_snapshot!(refusal, @"op `double`: no C++ function can have this name: rename the op");
}

#[test]
fn an_op_without_its_kernel() {
    let refusal = refusal(&[(r#"(export "run:scale")"#, "")]);
    insta::assert_snapshot!(refusal, @"op `scale` has no export `run:scale` of the type `() -> i32`: build it with the `gpsimd` crate of this version");
}

#[test]
fn an_op_without_its_shape_function() {
    let refusal = refusal(&[(r#"(export "shape:scale")"#, "")]);
    insta::assert_snapshot!(refusal, @"op `scale` has no export `shape:scale` of the type `(i32, i32, i32, i32, i32) -> i32`: build it with the `gpsimd` crate of this version");
}

#[test]
fn a_kernel_of_another_type() {
    let refusal = refusal(&[(
        "(export \"run:scale\") (result i32)\n    i32.const 0",
        "(export \"run:scale\") (param i32) (result i32)\n    i32.const 0",
    )]);
    insta::assert_snapshot!(refusal, @"op `scale` has no export `run:scale` of the type `() -> i32`: build it with the `gpsimd` crate of this version");
}

#[test]
fn a_shape_function_of_another_type() {
    let refusal = refusal(&[("(param i32 i32 i32 i32 i32)", "(param i32 i32)")]);
    insta::assert_snapshot!(refusal, @"op `scale` has no export `shape:scale` of the type `(i32, i32, i32, i32, i32) -> i32`: build it with the `gpsimd` crate of this version");
}

// ---- The vendor's limits ----

#[test]
fn more_ops_than_the_vendor_takes() {
    let op = |i| {
        format!(
            "{{'name':'op{i}','doc':'','operands':[],'outputs':[{{'name':'y','element':'f32'}}],'gradients':[],'file':''}}"
        )
    };
    let ops = (0..10).map(op).collect::<Vec<_>>().join(",");
    let refusal = refusal(&[("'ops':[", &format!("'ops':[{ops},"))]);
    insta::assert_snapshot!(refusal, @"the number of ops of `my_ops` is 11, the limit is 10: make two libraries of it");
}

#[test]
fn a_name_that_is_too_long() {
    let refusal = refusal(&[("'name':'scale'", "'name':'a_name_of_thirty_two_characters_'")]);
    insta::assert_snapshot!(refusal, @"the length of the name `a_name_of_thirty_two_characters_` is 32 characters, the limit is 31: give the op a shorter name");
}

#[test]
fn a_library_with_the_name_of_the_runtime() {
    let refusal = refusal(&[("'name':'my_ops'", "'name':'builtin'")]);
    insta::assert_snapshot!(refusal, @"the library cannot be called `builtin`, a name that the vendor's runtime keeps for itself: choose another in op_library!");
}

// ---- TCM ----

#[test]
fn an_image_without_a_stack_pointer() {
    let refusal = refusal(&[("$__stack_pointer", "$another")]);
    insta::assert_snapshot!(refusal, @"the image is not linked for a core's TCM: no global is called __stack_pointer; build it with `cargo gpsimd build`");
}

#[test]
fn a_stack_pointer_that_does_not_move() {
    let refusal = refusal(&[("(mut i32) (i32.const 1024)", "i32 (i32.const 1024)")]);
    insta::assert_snapshot!(refusal, @"the image is not linked for a core's TCM: the stack pointer is not a variable that starts at a number; build it with `cargo gpsimd build`");
}

#[test]
fn an_image_that_does_not_say_how_large_its_pool_is() {
    let refusal = refusal(&[(r#"(export "gpsimd.pool_bytes" (global $pool_bytes))"#, "")]);
    insta::assert_snapshot!(refusal, @"the image is not linked for a core's TCM: it does not export gpsimd.pool_bytes; build it with `cargo gpsimd build`");
}

#[test]
fn a_size_of_the_pool_that_is_not_there() {
    let refusal = refusal(&[("$pool_bytes i32 (i32.const 1040)", "$pool_bytes i32 (i32.const 2000)")]);
    insta::assert_snapshot!(refusal, @"the image is not linked for a core's TCM: gpsimd.pool_bytes does not lead to a number; build it with `cargo gpsimd build`");
}

#[test]
fn an_image_whose_end_is_unknown() {
    let refusal = refusal(&[(r#"(export "__heap_base" (global $end))"#, "")]);
    insta::assert_snapshot!(refusal, @"the image is not linked for a core's TCM: it does not export __heap_base; build it with `cargo gpsimd build`");
}

#[test]
fn a_stack_that_is_not_first() {
    let refusal = refusal(&[("(data (i32.const 1024)", "(data (i32.const 0)")]);
    insta::assert_snapshot!(refusal, @"the image is not linked for a core's TCM: the stack does not come first in its memory; build it with `cargo gpsimd build`");
}

#[test]
fn constants_beyond_their_end() {
    let refusal = refusal(&[("(data (i32.const 1024)", "(data (i32.const 20000)")]);
    insta::assert_snapshot!(refusal, @"the image is not linked for a core's TCM: it has constants before the stack, or behind their end; build it with `cargo gpsimd build`");
    // The last of them ends at 1044.
    let end_at = |end: &str| package(&image(&[("$end i32 (i32.const 1072)", &format!("$end i32 (i32.const {end})"))]));
    assert!(end_at("1044").is_ok() && end_at("1043").is_err());
}

#[test]
fn an_image_that_does_not_say_what_its_data_is() {
    let refusal = refusal(&[(r#"(@custom "linking" "\02")"#, "")]);
    insta::assert_snapshot!(refusal, @"the image is not linked for a core's TCM: it does not say what its data is: it was linked without --emit-relocs; build it with `cargo gpsimd build`");
}

/// What the linker says of data, in the format of object files: segments (5) by name, symbols (8) by segment.
fn linking(symbols: &[(&str, u8)]) -> String {
    let segments = ["\\07.rodata\\02\\00", "\\05.data\\02\\00", "\\04.bss\\02\\00"];
    let segments = format!("\\03{}", segments.concat());
    let symbol = |(name, segment): &(&str, u8)| format!("\\01\\00\\{:02x}{name}\\{segment:02x}\\00\\04", name.len());
    let table = format!("\\{:02x}{}", symbols.len(), symbols.iter().map(symbol).collect::<String>());
    let bytes = |text: &str| text.len() - 2 * text.matches('\\').count();
    let sized = |text: &str| format!("\\{:02x}\\{:02x}{text}", bytes(text) & 127 | 128, bytes(text) >> 7);
    format!(r#"(@custom "linking" "\02\05{}\08{}")"#, sized(&segments), sized(&table))
}

#[test]
fn constants_are_no_reason() {
    let linking = linking(&[("_ZN6my_ops5TABLE17h0123456789abcdefE", 0)]);
    insta::assert_snapshot!(refusal(&[(r#"(@custom "linking" "\02")"#, &linking)]), @"accepted");
}

#[test]
fn statics_that_can_change() {
    let linking = linking(&[
        ("_ZN6my_ops5scale5COUNT17h0123456789abcdefE", 2),
        ("_ZN6my_ops5TABLE17h0123456789abcdefE", 0),
        ("_ZN5other4CELL17h0123456789abcdefE", 1),
    ]);
    insta::assert_snapshot!(refusal(&[(r#"(@custom "linking" "\02")"#, &linking)]), @"the library has statics that can change, `my_ops::scale::COUNT`, `other::CELL`: a core starts every launch without what was kept there in the last, and shares it with no other core; keep state in tensors, or make it a `const` or a plain `static`");
}

#[test]
fn a_stack_of_nothing() {
    let refusal = refusal(&[("(mut i32) (i32.const 1024)", "(mut i32) (i32.const 128)")]);
    insta::assert_snapshot!(refusal, @"the image is not linked for a core's TCM: the stack is smaller than what leaf functions may use; build it with `cargo gpsimd build`");
}

#[test]
fn more_tcm_than_a_core_has() {
    let refusal = refusal(&[
        ("$end i32 (i32.const 1072)", "$end i32 (i32.const 1152)"),
        ("\\00\\30\\00\\00", "\\80\\3b\\00\\00"),
    ]);
    insta::assert_snapshot!(refusal, @"TCM of the library (1024 bytes of stack, 128 of constants, 15232 of tile buffers, 64 to align) is 16448 bytes, the limit is 16384: give tile buffers less with `tcm: BYTES` in op_library!, or use fewer constants; messages of panics that show floats take 3 KB of them");
    // As much as it has: 64 bytes of constants less.
    let fits = [("$end i32 (i32.const 1072)", "$end i32 (i32.const 1088)"), ("\\00\\30\\00\\00", "\\80\\3b\\00\\00")];
    assert!(package(&image(&fits)).is_ok());
}

#[test]
fn a_kernel_with_more_stack_than_there_is() {
    let refusal = refusal(&[(
        "(result i32)\n    i32.const 0)\n  (func $my_ops::scale::shape",
        "(result i32) \n    global.get $__stack_pointer i32.const 2048 i32.sub global.set $__stack_pointer i32.const 0)\n  (func $my_ops::scale::shape",
    )]);
    insta::assert_snapshot!(refusal, @"stack of op `scale` is 2176 bytes, the limit is 1024: keep less in local arrays; tile buffers come from `core.tcm()`");
}

#[test]
fn tile_buffers_with_no_room_for_the_types_of_several_outputs() {
    let outputs = "'outputs':[{'name':'y','element':'f32'},{'name':'z','element':'i32'}]";
    let refusal =
        refusal(&[("'outputs':[{'name':'y','element':'f32'}]", outputs), ("\\00\\30\\00\\00", "\\c0\\00\\00\\00")]);
    insta::assert_snapshot!(refusal, @"room in tile buffers for the types of operands and outputs of op `scale` is 256 bytes, the limit is 192: give tile buffers more with `tcm: BYTES` in op_library!");
}

#[test]
fn a_shape_function_that_calls_the_device() {
    let refusal = refusal(&[(
        "(param i32 i32 i32 i32 i32) (result i32)\n    i32.const 0",
        "(param i32 i32 i32 i32 i32) (result i32)\n    call $core_id",
    )]);
    insta::assert_snapshot!(refusal, @"op `scale`: its shape function calls `gpsimd.core_id`, which the host, where shapes are computed, does not have: use nothing but the types of the operands");
}
