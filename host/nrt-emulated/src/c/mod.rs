//! The functions of the C interface, and what every one of them does first and last.

mod collectives;
mod execute;
mod hardware;
mod instance;
mod lifecycle;
mod model;
mod recording;
mod tensor;
mod tensor_batch;
mod tensor_info;
mod tensor_set;

use std::ffi::{CStr, c_char, c_uint};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;
use crate::log::{self, Level};
use crate::neuron_core::panic_message;
use crate::status::Status;

/// `NRT_STATUS`: an enum in C, any number here.
type NrtStatus = c_uint;

/// Bytes of a tensor's name, its end among them: `NRT_TENSOR_NAME_MAX`.
const NAME_MAX: usize = 256;

/// What a function that returns a status returns. No panic goes on into the program, and every failure is logged.
fn call(function: &'static str, body: impl FnOnce() -> Result<(), Error>) -> NrtStatus {
    let status = match caught(body) {
        Ok(()) => Status::Success,
        Err(error) => {
            log::line(Level::Error, function, &error);
            error.status()
        }
    };
    status as NrtStatus
}

/// What a function that returns something else returns, or `otherwise`, after a line in the log.
fn value<T>(function: &'static str, otherwise: T, body: impl FnOnce() -> Result<T, Error>) -> T {
    caught(body).unwrap_or_else(|error| {
        log::line(Level::Error, function, &error);
        otherwise
    })
}

fn caught<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(Error::Panicked(panic_message(&*panic))))
}

/// Fails when an argument that leads to something is null.
fn expect_pointer<T>(name: &'static str, pointer: *const T) -> Result<(), Error> {
    if pointer.is_null() { Err(argument(name, "null", "an address")) } else { Ok(()) }
}

fn argument(name: &'static str, found: impl fmt::Display, expected: impl fmt::Display) -> Error {
    Error::Argument { name, found: found.to_string(), expected: expected.to_string() }
}

/// Writes a struct that later versions may add fields to: as much of it as the program has room for, and how much that is.
///
/// # Safety
/// The pointers are null or lead to `size` bytes and to a number.
unsafe fn write_sized<T>(
    [name, size_name, written_name]: [&'static str; 3],
    found: T,
    to: *mut T,
    size: usize,
    written: *mut usize,
) -> Result<(), Error> {
    expect_pointer(name, to)?;
    expect_pointer(written_name, written)?;
    if size < size_of::<T>() {
        return Err(argument(size_name, size, format_args!("{} bytes or more", size_of::<T>())));
    }
    // SAFETY: not null, and there is room for it.
    unsafe {
        to.write(found);
        written.write(size_of::<T>());
    }
    Ok(())
}

/// The name at `text`, or none for null: the name of a tensor is optional.
///
/// # Safety
/// `text` is null or leads to a text with its end.
unsafe fn optional_name(text: *const c_char) -> Result<String, Error> {
    if text.is_null() {
        return Ok(String::new());
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    let expected = || format!("a text in UTF-8 of up to {} bytes", NAME_MAX - 1);
    if text.count_bytes() >= NAME_MAX {
        return Err(argument("name", format!("{} bytes long", text.count_bytes()), expected()));
    }
    text.to_str().map(str::to_owned).map_err(|_| argument("name", format!("{text:?}"), expected()))
}

/// The name at `text`.
///
/// # Safety
/// As [`optional_name`].
unsafe fn name(text: *const c_char) -> Result<String, Error> {
    expect_pointer("name", text)?;
    // SAFETY: the caller's promise.
    unsafe { optional_name(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_in_the_function_that_it_is_in() {
        assert_eq!(call("test", || panic!("on purpose")), Status::Failure as NrtStatus);
        assert_eq!(value("test", 7, || panic!("on purpose")), 7);
    }
}
