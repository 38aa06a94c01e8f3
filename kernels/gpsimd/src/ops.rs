//! Ops as `op_library!` finds and collects them. What the macros' output names; no kernel does.

use gpsimd_abi as abi;

use crate::engine_core::Core;
use crate::error::OpResult;

/// An op: what `#[custom_op]` implements beside the kernel.
pub trait Op {
    /// What is known of it.
    const INFO: OpInfo;

    /// What it is compared with, if it names a function of its crate.
    #[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
    const REFERENCE: Option<abi::ReferenceFunction> = None;

    /// Runs the kernel with the tensors and scalars of the launch.
    ///
    /// # Errors
    /// As the kernel.
    fn call(core: &Core) -> OpResult;

    /// Runs one core's part of a launch.
    ///
    /// # Safety
    /// As `gpsimd_abi::OpFunctions::run`.
    #[cfg(not(target_arch = "wasm32"))]
    unsafe extern "C" fn run(device: *const abi::DeviceTable) -> u32;

    /// Runs this core's part of a launch.
    #[cfg(target_arch = "wasm32")]
    fn run() -> u32;

    /// Computes the types of the outputs.
    ///
    /// # Safety
    /// As `gpsimd_abi::OpFunctions::shape`.
    unsafe extern "C" fn shape(
        operands: *const abi::RawTensorType,
        operand_count: u32,
        outputs: *mut abi::RawTensorType,
        output_count: u32,
        error: *mut abi::RawShapeError,
    ) -> u32;
}

/// What is known of an op at compile time.
#[derive(Clone, Copy)]
pub struct OpInfo {
    /// Its name.
    pub name: &'static str,
    /// A letter for each operand: `t` a tensor of a type parameter, `f` of f32, `b` of bf16, `h` of f16, `i` of i32, `s` of
    /// i16, `c` of i8, `u` of u8; `F` a scalar of f32, `I` of i32, `U` of u32, `B` a bool; `z` a size.
    pub operands: &'static str,
    /// Number of outputs.
    pub outputs: usize,
    /// Name of the second phase, of an op with two: its outputs are the op's.
    pub then: Option<&'static str>,
    /// The descriptor, JSON.
    pub descriptor: &'static str,
}

/// All ops, for [`Numbered`].
pub struct Ops;

/// `Ops: Numbered<O, N>` says that `O` is the op of number `N`. There is one such `O`, so the compiler finds it for
/// whoever has the number alone.
pub trait Numbered<O: Op, const NUMBER: u128> {}

/// [`Op::INFO`] of the op of this number.
pub const fn info<O: Op, const NUMBER: u128>() -> OpInfo
where
    Ops: Numbered<O, NUMBER>,
{
    O::INFO
}

/// The op of this number in a library's table.
#[cfg(not(target_arch = "wasm32"))]
pub const fn entry<O: Op, const NUMBER: u128>() -> abi::OpFunctions
where
    Ops: Numbered<O, NUMBER>,
{
    abi::OpFunctions { run: O::run, shape: O::shape }
}

/// [`Op::REFERENCE`] of the op of this number.
#[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
pub const fn reference<O: Op, const NUMBER: u128>() -> Option<abi::ReferenceFunction>
where
    Ops: Numbered<O, NUMBER>,
{
    O::REFERENCE
}

/// [`Op::run`] of the op of this number.
#[cfg(target_arch = "wasm32")]
#[inline(always)]
pub fn run<O: Op, const NUMBER: u128>() -> u32
where
    Ops: Numbered<O, NUMBER>,
{
    O::run()
}

/// [`Op::shape`] of the op of this number.
///
/// # Safety
/// As that.
#[cfg(target_arch = "wasm32")]
#[inline(always)]
pub unsafe fn shape<O: Op, const NUMBER: u128>(
    operands: *const abi::RawTensorType,
    operand_count: u32,
    outputs: *mut abi::RawTensorType,
    output_count: u32,
    error: *mut abi::RawShapeError,
) -> u32
where
    Ops: Numbered<O, NUMBER>,
{
    // SAFETY: the caller's promise.
    unsafe { O::shape(operands, operand_count, outputs, output_count, error) }
}

/// Whether the ops that gradients call are in the library and are called as they are declared. Evaluated at compile
/// time, from expressions that have the place of what they check.
pub mod check {
    pub use super::OpInfo;

    /// The library must have the op.
    #[track_caller]
    pub const fn op(ops: &[OpInfo], library: &str, name: &str) {
        if find(ops, name).is_none() {
            let message = Message::new().text("a gradient calls `").text(name).text("`, which is not an op of `");
            message.text(library).text("`: name it in `ops` of the op_library!").panic();
        }
    }

    /// The library must have the second phase of an op.
    #[track_caller]
    pub const fn second_phase(ops: &[OpInfo], library: &str, name: &str) {
        if find(ops, name).is_none() {
            let message = Message::new().text("a second phase is `").text(name).text("`, which is not an op of `");
            message.text(library).text("`: name it in `ops` of the op_library!").panic();
        }
    }

    /// The op must not have more operands.
    #[track_caller]
    pub const fn operands(ops: &[OpInfo], name: &str, found: usize) {
        if let Some(op) = find(ops, name)
            && op.operands.len() > found
        {
            let count = op.operands.len();
            let message = Message::new().text("op `").text(name).text("` has ").number(count);
            let message = message.text(if count == 1 { " operand" } else { " operands" });
            message.text(", and is called with ").number(found).panic();
        }
    }

    /// The op must have one output, or as many as there are operands whose gradients they are.
    #[track_caller]
    pub const fn outputs(ops: &[OpInfo], name: &str, operands: usize) {
        let Some(op) = find(ops, name) else { return };
        let outputs = match op.then {
            None => op.outputs,
            Some(then) => match find(ops, then) {
                Some(then) => then.outputs,
                None => return,
            },
        };
        if outputs != 1 && outputs != operands {
            let message = Message::new().text("op `").text(name).text("` has ").number(outputs);
            let message = message.text(" outputs, and this is the gradient of ").number(operands);
            message.text(if operands == 1 { " operand" } else { " operands" }).panic();
        }
    }

    /// The op must have an operand `index`, and it must be what is passed: `kind` as in [`OpInfo::operands`].
    #[track_caller]
    pub const fn operand(ops: &[OpInfo], name: &str, index: usize, kind: char) {
        let Some(op) = find(ops, name) else { return };
        let count = op.operands.len();
        if index >= count {
            // One error is enough.
            if index == count {
                let message = Message::new().text("op `").text(name).text("` has only ").number(count);
                message.text(if count == 1 { " operand" } else { " operands" }).panic();
            }
            return;
        }
        let (expected, found) = (op.operands.as_bytes()[index], kind as u8);
        // What the type parameter stands for, the launch decides. A number in the source is of any type.
        let fits = match found {
            _ if expected == found => true,
            b'n' => expected.is_ascii_uppercase() || expected == b'z',
            b't' => expected.is_ascii_lowercase() && expected != b'z',
            b'a'..=b'y' => expected == b't',
            _ => false,
        };
        if !fits {
            let message = Message::new().text("operand ").number(index + 1).text(" of op `").text(name).text("` is ");
            message.text(described(expected)).text(", and this is ").text(described(found)).panic();
        }
    }

    const fn described(kind: u8) -> &'static str {
        match kind {
            b'n' => "a number",
            b'F' => "an f32",
            b'I' => "an i32",
            b'U' => "a u32",
            b'B' => "a bool",
            b'z' => "a size",
            b'f' => "a tensor of f32",
            b'b' => "a tensor of bf16",
            b'h' => "a tensor of f16",
            b'i' => "a tensor of i32",
            b's' => "a tensor of i16",
            b'c' => "a tensor of i8",
            b'u' => "a tensor of u8",
            _ => "a tensor",
        }
    }

    const fn find<'a>(ops: &'a [OpInfo], name: &str) -> Option<&'a OpInfo> {
        let mut i = 0;
        while i < ops.len() {
            if is_same(ops[i].name.as_bytes(), name.as_bytes()) {
                return Some(&ops[i]);
            }
            i += 1;
        }
        None
    }

    const fn is_same(a: &[u8], b: &[u8]) -> bool {
        let mut i = 0;
        while i < a.len() && i < b.len() && a[i] == b[i] {
            i += 1;
        }
        i == a.len() && i == b.len()
    }

    /// A message put together at compile time, where nothing formats.
    struct Message {
        bytes: [u8; 512],
        len: usize,
    }

    impl Message {
        const fn new() -> Self {
            Self { bytes: [0; 512], len: 0 }
        }

        const fn text(mut self, text: &str) -> Self {
            let text = text.as_bytes();
            let mut i = 0;
            while i < text.len() && self.len < self.bytes.len() {
                self.bytes[self.len] = text[i];
                self.len += 1;
                i += 1;
            }
            self
        }

        const fn number(mut self, number: usize) -> Self {
            if number >= 10 {
                self = self.number(number / 10);
            }
            let digit = [b'0' + (number % 10) as u8];
            match core::str::from_utf8(&digit) {
                Ok(digit) => self.text(digit),
                Err(_) => self,
            }
        }

        #[track_caller]
        const fn panic(self) {
            match core::str::from_utf8(self.bytes.split_at(self.len).0) {
                Ok(text) => panic!("{}", text),
                Err(_) => panic!("a gradient does not fit the op that it calls"),
            }
        }
    }
}
