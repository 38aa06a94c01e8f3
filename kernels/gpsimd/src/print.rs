//! What `print!` can print, without `core::fmt`.

use crate::element::{Number, bf16, f16};
use crate::engine_core::Core;

/// A value that [`print!`](crate::print) can print.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be printed from a core",
    note = "floats, integers, `bool` and `&'static str` can"
)]
pub trait Print {
    /// Prints the value.
    #[doc(hidden)]
    fn print(&self, core: &Core);
}

macro_rules! print_as {
    ($method:ident, $as:ty: $($type:ty),*) => {$(
        impl Print for $type {
            fn print(&self, core: &Core) {
                core.device.$method(*self as $as);
            }
        }
    )*};
}
print_as!(print_float, f64: f32, f64);
print_as!(print_signed, i64: i8, i16, i32, i64, isize);
print_as!(print_unsigned, u64: u8, u16, u32, u64, usize);

impl Print for bf16 {
    fn print(&self, core: &Core) {
        self.to_f32().print(core);
    }
}

impl Print for f16 {
    fn print(&self, core: &Core) {
        self.to_f32().print(core);
    }
}

impl Print for bool {
    fn print(&self, core: &Core) {
        core.device.print_text(if *self { "true" } else { "false" });
    }
}

impl Print for &'static str {
    fn print(&self, core: &Core) {
        core.device.print_text(self);
    }
}
