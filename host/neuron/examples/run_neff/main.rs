//! Runs a NEFF through libnrt: what a host program does from init to close.
//!
//! `cargo xtask run-neff` builds what this needs and starts it. Without a file it runs two ops of a BERT layer, the
//! activation of the feed-forward block (bias and GELU) and the softmax of attention, on the tensors of the golden files and
//! checks the results. With a file it runs that NEFF.
//!
//! The NEFF that it makes itself is an emulated one, which no Neuron Runtime loads. With the NEFF of a compiler and a real
//! libnrt this has not been run.

mod file;
mod golden;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gpsimd_neuron::nrt::{Library, Runtime};

/// Run a NEFF through libnrt: bias+GELU and softmax on the golden files, or a NEFF of your own.
#[derive(Parser)]
#[command(name = "run_neff")]
struct Arguments {
    /// The NEFF [default: made here of the ops of a BERT layer, for the emulated runtime]
    file: Option<PathBuf>,
    /// Run on this NeuronCore, by its number among those of this process [default: the runtime chooses]
    #[arg(long, value_name = "N")]
    core: Option<u32>,
    /// Raw content of an input; inputs that are not given are zeros
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file, requires = "file")]
    input: Vec<(String, PathBuf)>,
    /// Write the raw content of an output to a file
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file, requires = "file")]
    output: Vec<(String, PathBuf)>,
    /// The op library `bert_ops` for this CPU
    #[arg(long, value_name = "FILE", required_unless_present = "file")]
    ops: Option<PathBuf>,
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
    let library = Library::open()?;
    let runtime = Runtime::init(&library)?;
    let emulated = if runtime.is_emulated() { ", EMULATED: no device is used" } else { "" };
    println!("libnrt    {}{emulated}", library.path().display());
    println!("version   {}", runtime.version());
    println!("cores     {} of {} are this process's", library.visible_cores()?, library.total_cores()?);
    match (&arguments.file, &arguments.ops) {
        (Some(file), _) => file::run(&runtime, file, arguments.core, &arguments.input, &arguments.output),
        (None, Some(ops)) => golden::run(&runtime, ops, arguments.core),
        (None, None) => unreachable!("clap asks for one of them"),
    }
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or_else(|| format!("expected NAME=FILE, found `{text}`"))?;
    Ok((name.to_owned(), PathBuf::from(file)))
}
