//! The instance: the struct of the mutable globals, and the functions that fill it and check the stack.

use std::fmt::Write as _;

use super::{Names, Options};
use crate::function::{constant_text, type_name, u32_text};
use crate::module::{Constant, Module};

/// The struct of the mutable globals, and the function that fills it and the memory.
pub(super) fn instance(
    module: &Module<'_>,
    names: &Names,
    options: &Options,
    deepest_recursion: Option<u32>,
) -> String {
    let mut fields = String::from("  u8* memory;\n  u32 memory_bytes;\n  void* host;\n");
    let mut body = String::new();
    if options.stack.is_some() {
        fields += "  u32 panic_stack, panic_stack_bytes;\n";
    }
    if deepest_recursion.is_some() {
        fields += "  u32 open_calls;\n";
        body += "  w.open_calls = 0u;\n";
    }
    for (index, global) in module.globals.iter().enumerate().filter(|(_, global)| global.mutable) {
        let name = names.global(index as u32);
        let value = constant_text(global.init);
        let _ = writeln!(fields, "  {} {name};", type_name(global.ty));
        let _ = writeln!(body, "  w.{name} = {value};");
    }
    let mut data = String::new();
    for (index, segment) in module.data.iter().enumerate() {
        // The memory is zero before.
        let bytes = segment.bytes;
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if used == 0 {
            continue;
        }
        let _ = writeln!(data, "static const u8 data_{index}[{used}] = {{");
        for line in bytes[..used].chunks(24) {
            let line: Vec<_> = line.iter().map(ToString::to_string).collect();
            let _ = writeln!(data, "  {},", line.join(","));
        }
        data += "};\n";
        let offset = u32_text(segment.offset);
        let _ = writeln!(body, "  __builtin_memcpy(m + {offset}, data_{index}, sizeof data_{index});");
    }
    if !options.zeroed.is_empty() {
        let (start, len) = (u32_text(options.zeroed.start), u32_text(options.zeroed.len() as u32));
        body.insert_str(0, &format!("  __builtin_memset(m + {start}, 0, {len});\n"));
    }
    let uses_instance = deepest_recursion.is_some() || module.globals.iter().any(|global| global.mutable);
    let uses_memory = !options.zeroed.is_empty() || !data.is_empty();
    let (w, m) = (if uses_instance { "w" } else { "" }, if uses_memory { "m" } else { "" });
    let mut text = format!(
        "struct Instance {{\n{fields}}};\n\n{data}\nstatic inline void instantiate(Instance& {w}, u8* __restrict {m}) {{\n{body}}}\n\n"
    );
    if options.bounds_checks {
        text += CHECKS;
    }
    if let Some(stack) = options.stack {
        text += &stack_checks(module, names, stack, deepest_recursion.is_some());
    }
    if let Some(limit) = deepest_recursion {
        let _ = writeln!(
            text,
            "// Calls of recursive functions take of the processor's stack, whatever they take of the one in memory.\n\
             GPSIMD_INLINE void open_call(Instance& w) {{\n  if (++w.open_calls > {limit}u) gpsimd_trap(\"call stack \
             exhausted: functions call each other more than {limit} deep\");\n}}\n"
        );
    }
    text
}

/// The functions that check the stack pointer, and that move it to a stack of its own after a panic.
fn stack_checks(module: &Module<'_>, names: &Names, stack: u32, counts_calls: bool) -> String {
    let top = match module.globals.get(stack as usize).map(|global| global.init) {
        Some(Constant::I32(top)) => top,
        _ => 0,
    };
    let pointer = names.global(stack);
    let most = top.saturating_sub(RED_ZONE);
    let forget_calls = if counts_calls { "  w.open_calls = 0u;\n" } else { "" };
    format!(
        r#"// What formats the message of a panic runs on a stack of its own. Whether this is the first panic.
GPSIMD_INLINE u32 start_panic(Instance& w, u32 stack, u32 bytes) {{
  if (w.panic_stack_bytes != 0u) return 0u;
  w.panic_stack = stack;
  w.panic_stack_bytes = bytes;
  w.{pointer} = stack + bytes;
{forget_calls}  return 1u;
}}

__attribute__((unused, noinline, cold)) static void check_panic_stack(const Instance& w) {{
  if (w.panic_stack_bytes == 0u || w.{pointer} - w.panic_stack - {RED_ZONE}u > w.panic_stack_bytes - {RED_ZONE}u) {{
    gpsimd_trap("the stack is exhausted");
  }}
}}

// The stack grows down to 0. What calls nothing may use {RED_ZONE} bytes below the stack pointer.
GPSIMD_INLINE void check_stack(const Instance& w) {{
  if (w.{pointer} - {RED_ZONE}u > {most}u) check_panic_stack(w);
}}

"#
    )
}

/// Bytes below the stack pointer that LLVM's WebAssembly backend lets leaf functions use.
pub(crate) const RED_ZONE: u32 = 128;

const CHECKS: &str = r#"GPSIMD_INLINE u32 check(const Instance& w, u32 a, u32 o, u32 bytes) {
  if (u64(a) + o + bytes > w.memory_bytes) gpsimd_trap("out of bounds memory access");
  return a;
}
GPSIMD_INLINE void memory_copy_checked(const Instance& w, u8* m, u32 d, u32 s, u32 n) {
  if (u64(d) + n > w.memory_bytes || u64(s) + n > w.memory_bytes) gpsimd_trap("out of bounds memory access");
  memory_copy(m, d, s, n);
}
GPSIMD_INLINE void memory_fill_checked(const Instance& w, u8* m, u32 d, u32 v, u32 n) {
  if (u64(d) + n > w.memory_bytes) gpsimd_trap("out of bounds memory access");
  memory_fill(m, d, v, n);
}

"#;

#[cfg(test)]
mod tests {
    use crate::{Module, Options, emit};

    /// Compilers warn about parameters that have a name and no use.
    #[test]
    fn what_fills_an_instance_names_what_it_uses() {
        for (zeroed, data, global) in [
            (0..0, "", ""),
            (0..64, "", ""),
            (0..0, "(data (i32.const 128) \"\\01\")", ""),
            (0..0, "(data (i32.const 128) \"\\00\")", ""),
            (0..64, "(data (i32.const 128) \"\\01\")", ""),
            (0..0, "", "(global (mut i32) (i32.const 7))"),
            (0..0, "", "(global i32 (i32.const 7))"),
        ] {
            let wasm = wat::parse_str(format!("(module (memory 1) {data} {global})")).unwrap();
            let options = Options { zeroed: zeroed.clone(), ..Options::default() };
            let source = Module::read(&wasm).and_then(|module| emit(&module, &options)).unwrap().source();
            let (_, filling) = source.split_once("static inline void instantiate").unwrap();
            let (head, body) = filling.split_once('{').unwrap();
            let body = body.split_once('}').unwrap().0;
            assert_eq!(head.contains("u8* __restrict m)"), body.contains("m + "), "{head}{{{body}}}");
            assert_eq!(head.contains("Instance& w,"), body.contains("w."), "{head}{{{body}}}");
            let used = !zeroed.is_empty() || data.contains("01");
            assert_eq!((body.contains("m + "), body.contains("w.")), (used, global.contains("mut")), "{data} {global}");
        }
    }
}
