//! Panics of ops: reported to the host, in the words and with the place that a panic on a host has, and the program ends.

use core::cell::Cell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;

use gpsimd_abi::{FAILURE_PANIC, RawShapeError, SHAPE_ERROR_PANIC, STATUS_FAILED, Text};

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
    /// A panic of a shape function is being reported; this is its place.
    ReportShape(*const Message),
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
#[derive(Clone)]
pub(crate) struct Message {
    bytes: [u8; 512],
    len: usize,
}

impl Message {
    const EMPTY: Self = Self { bytes: [0; 512], len: 0 };

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// `core` is compiled without the printing of floats, which LLVM's backend cannot compile yet: it panics.
const FLOAT_IN_MESSAGE: &str = "a message with a float in it, which a program of the isa tier cannot print";

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
            let mut message = Message::EMPTY;
            // What does not fit is cut: writing does not fail.
            let _ = write!(message, "{}", info.message());
            finish(message.bytes());
        }
        Activity::Report => finish(FLOAT_IN_MESSAGE.as_bytes()),
        Activity::Shape => {
            let mut message = Message::EMPTY;
            if let Some(at) = info.location() {
                let _ = write!(message, "{at}: ");
            }
            // Should the text not be printable, its place is.
            let placed = message.clone();
            set(Activity::ReportShape(&raw const placed));
            let _ = write!(message, "{}", info.message());
            refuse_shape(message.bytes());
        }
        Activity::ReportShape(placed) => {
            // SAFETY: a variable of the panic handler's call that panicked, which goes no further.
            let mut message = unsafe { (*placed).clone() };
            let _ = message.write_str(FLOAT_IN_MESSAGE);
            refuse_shape(message.bytes());
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

fn refuse_shape(message: &[u8]) {
    let message = Text { data: message.as_ptr(), len: message.len() };
    serve::refuse_shape(&RawShapeError { code: SHAPE_ERROR_PANIC, operand: 0, dim: 0, expected: 0, found: 0, message });
}
