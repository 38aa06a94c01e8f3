//! Executing models.

use std::ffi::c_int;

use super::{NrtStatus, argument, call};
use crate::error::Error;
use crate::execution;
use crate::handles::Handle;
use crate::log::{self, Level};
use crate::runtime;

#[unsafe(no_mangle)]
extern "C" fn nrt_execute(model: Handle, inputs: Handle, outputs: Handle) -> NrtStatus {
    call("nrt_execute", || execute("nrt_execute", model, inputs, outputs, 1))
}

#[unsafe(no_mangle)]
extern "C" fn nrt_execute_repeat(model: Handle, inputs: Handle, outputs: Handle, count: c_int) -> NrtStatus {
    call("nrt_execute_repeat", || execute("nrt_execute_repeat", model, inputs, outputs, count))
}

fn execute(function: &'static str, model: Handle, inputs: Handle, outputs: Handle, count: c_int) -> Result<(), Error> {
    let runtime = runtime::current()?;
    let model = runtime.models.get(model)?;
    let (inputs, outputs) = (runtime.sets.get(inputs)?, runtime.sets.get(outputs)?);
    let times = u32::try_from(count).ok().filter(|&times| times > 0);
    let times = times.ok_or_else(|| argument("count", count, "1 or more"))?;
    execution::execute(&runtime, &model, &inputs, &outputs, times)?;
    log::line(Level::Debug, function, format_args!("`{}` {times} times", model.name));
    Ok(())
}
