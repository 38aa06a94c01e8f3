//! Panics of ops: told to the host, in the words and with the place that a panic on a host has, and the program ends.

use core::cell::Cell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;

use gpsimd_abi::{FAILURE_PANIC, SHAPE_ERROR_MESSAGE, STATUS_FAILED, ShapeError, Text};

use crate::protocol::{DONE, FAIL};
use crate::wire::{flush, put_caller, put_text, put_u32};
use crate::{linux, serve};

/// What the program is doing.
#[derive(Clone, Copy)]
pub(crate) enum Activity {
    Nothing,
    Run,
    Shape,
    /// A panic of an op is being reported.
    Report,
}

struct Current(Cell<Activity>);
// SAFETY: the program has one thread.
unsafe impl Sync for Current {}

static CURRENT: Current = Current(Cell::new(Activity::Nothing));

/// Says what the program does from now on.
pub(crate) fn set(activity: Activity) {
    CURRENT.0.set(activity);
}

/// The start of a message; what is longer is cut.
struct Message {
    bytes: [u8; 512],
    len: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = &mut self.bytes[self.len..];
        let len = text.len().min(free.len());
        free[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        Ok(())
    }
}

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    match CURRENT.0.replace(Activity::Report) {
        // A panic of the runner itself.
        Activity::Nothing => linux::exit(3),
        Activity::Run => {
            put_u32(FAIL);
            put_u32(FAILURE_PANIC);
            put_caller(info.location());
            let mut message = Message { bytes: [0; 512], len: 0 };
            // What does not fit is cut: writing does not fail.
            let _ = write!(message, "{}", info.message());
            finish(&message.bytes[..message.len]);
        }
        // `core` is compiled without the printing of floats, which LLVM's backend cannot compile yet: it panics.
        Activity::Report => finish(b"a message with a float in it, which a program of the isa tier cannot print"),
        Activity::Shape => {
            let message = Text::new("the shape function panicked");
            serve::refuse_shape(&ShapeError {
                code: SHAPE_ERROR_MESSAGE,
                operand: 0,
                dim: 0,
                expected: 0,
                found: 0,
                message,
            });
        }
    }
    flush();
    linux::exit(3)
}

fn finish(message: &[u8]) {
    put_text(message);
    put_u32(DONE);
    put_u32(STATUS_FAILED);
    put_u32(0);
}
