//! Runs a NEFF through libnrt: what a host program does from init to close.
//!
//! `cargo xtask run-neff` builds what this needs and starts it: two ops of a BERT layer, the activation of the feed-forward
//! block (bias and GELU) and the softmax of attention, on the tensors of the golden files, whose results it checks. A NEFF
//! of one's own is run by `cargo gpsimd neff run`.
//!
//! The NEFF is an emulated one, which no Neuron Runtime loads. With the NEFF of a compiler and a real libnrt this has not
//! been run.

mod golden;
mod soak;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gpsimd_nrt::{Libnrt, Runtime};

/// Run bias+GELU and softmax on the golden files, through libnrt.
#[derive(Parser)]
#[command(name = "run_neff")]
struct Arguments {
    /// Run on this NeuronCore, by its number among those of this process [default: the runtime chooses]
    #[arg(long, value_name = "N")]
    core: Option<u32>,
    /// The op library `bert_ops` for this CPU
    #[arg(long, value_name = "FILE")]
    ops: PathBuf,
    /// Execute one model so many times, instead of all golden files
    #[arg(long, value_name = "NUMBER")]
    executions: Option<usize>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let library = Libnrt::open()?;
    let runtime = Runtime::init(&library)?;
    let emulated = if runtime.is_emulated() { ", EMULATED: no device is used" } else { "" };
    println!("libnrt    {}{emulated}", library.path().display());
    println!("version   {}", runtime.version());
    println!("cores     {} of {} are this process's", library.visible_cores()?, library.total_cores()?);
    match arguments.executions {
        Some(executions) => soak::run(&runtime, &arguments.ops, arguments.core, executions),
        None => golden::run(&runtime, &arguments.ops, arguments.core),
    }
}
