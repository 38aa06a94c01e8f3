//! `cargo xtask soak`: what runs for weeks in production, run for long here.

mod runtime;

use std::ffi::OsString;

use anyhow::Context;
use clap::Subcommand;

use crate::python::{self, Python};
use cargo_gpsimd::process;

/// Run a server, a runtime or a trainer for long, and see that nothing grows, breaks or differs.
///
/// Each prints a table, or JSON with --json.
///
/// Exit status: 0 all is well, 1 something grew, broke or differed, 2 a wrong command line, 130 stopped.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask soak server --minutes 30\n\
\x20 cargo xtask soak runtime --executions 10000\n\
\x20 cargo xtask soak trainer --kills 50 --seed 1")]
pub(crate) struct Soak {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The server with as many connections as it takes, all in use: memory, threads and files must not grow, all answers be right
    ///
    /// The model is a small random one, and each connection asks once a minute, so that both ends together take about a third of
    /// a processor.
    Server {
        /// --minutes N, --connections N, --json
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        options: Vec<OsString>,
    },
    /// A model on the emulated Neuron Runtime: the same bits each time, memory that does not grow, no handle left
    Runtime(runtime::Runtime),
    /// A trainer that is killed at random moments, also while it writes a checkpoint: it ends with the same weights
    ///
    /// With the same seed the moments are drawn alike, as far as processes run alike.
    Trainer {
        /// --kills N, --seed N, --json
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        options: Vec<OsString>,
    },
}

impl Soak {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.what {
            What::Server { options } => of_application("soak_server.py", options),
            What::Runtime(runtime) => runtime.run(),
            What::Trainer { options } => of_application("soak_trainer.py", options),
        }
    }
}

fn of_application(program: &str, options: Vec<OsString>) -> anyhow::Result<()> {
    let application = python::application().context("there is no host/bert in this checkout, which this is of")?;
    let python = Python::set_up()?;
    Err(process::become_it(python.command().arg(application.join("tests").join(program)).args(options)))
}
