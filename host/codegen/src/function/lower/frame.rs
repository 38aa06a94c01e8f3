//! What a function takes of the stack in linear memory.

use wasmparser::{FunctionBody, Operator};

use crate::Options;
use crate::error::ImageError;

/// Bytes that a function takes of the stack: how its first instructions move the stack pointer, down by a number and then,
/// for locals of large alignment, to a multiple of one.
pub(super) fn bytes(body: &FunctionBody<'_>, options: &Options) -> Result<u32, ImageError> {
    let first: Vec<_> = body.get_operators_reader()?.into_iter().take(6).collect::<Result<_, _>>()?;
    let first: Vec<_> = first.iter().filter(|operator| !matches!(operator, Operator::LocalTee { .. })).collect();
    match first[..] {
        [Operator::GlobalGet { global_index }, Operator::I32Const { value }, Operator::I32Sub, ref rest @ ..]
            if options.stack == Some(*global_index) =>
        {
            let alignment = match rest {
                [Operator::I32Const { value }, Operator::I32And, ..] if *value < 0 => value.unsigned_abs(),
                _ => 0,
            };
            Ok((*value as u32).saturating_add(alignment))
        }
        _ => Ok(0),
    }
}
