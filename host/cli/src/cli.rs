//! [`Cli`]: the command line of `cargo gpsimd`.

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    bring_up, build, check, debug, doctor, empty_values, emulated_runtime, neff, new, numbers, profile, replay,
    terminal, test,
};

/// Custom operators for GPSIMD cores in Rust: build, run and measure them.
#[derive(Parser)]
#[command(name = "cargo gpsimd", bin_name = "cargo gpsimd", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    BringUp(bring_up::BringUp),
    #[command(hide = true)]
    BringUpWorker(bring_up::BringUpWorker),
    Build(build::Build),
    Check(check::Check),
    Debug(debug::Debug),
    #[command(name = debug::Program::NAME, hide = true)]
    DebugLaunch(debug::Program),
    Doctor(doctor::Doctor),
    EmulatedRuntime(emulated_runtime::EmulatedRuntime),
    Neff(neff::Neff),
    New(new::New),
    Profile(profile::Profile),
    Replay(replay::ReplayCommand),
    Test(test::Test),
}

impl Cli {
    /// Reads the arguments of this process; ends it with help or an error where these are due.
    pub fn of_process() -> Self {
        let mut arguments: Vec<_> = std::env::args_os().collect();
        // `cargo gpsimd build` starts `cargo-gpsimd gpsimd build`.
        if arguments.get(1).is_some_and(|argument| argument == "gpsimd") {
            arguments.remove(1);
        }
        let mut command = numbers::take_negative(Self::command());
        let matches = command.try_get_matches_from_mut(arguments).unwrap_or_else(|error| terminal::exit(&error));
        let cli = empty_values::refuse(&mut command, &matches).and_then(|()| Self::from_arg_matches(&matches));
        cli.unwrap_or_else(|error| terminal::exit(&error))
    }

    /// Runs the command.
    ///
    /// # Errors
    /// When it fails; [`status`](crate::status()) is how the process ends then.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::BringUp(command) => command.run(),
            Command::BringUpWorker(command) => command.run(),
            Command::Build(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Debug(command) => command.run(),
            Command::DebugLaunch(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::EmulatedRuntime(command) => command.run(),
            Command::Neff(command) => command.run(),
            Command::New(command) => command.run(),
            Command::Profile(command) => command.run(),
            Command::Replay(command) => command.run(),
            Command::Test(command) => command.run(),
        }
    }
}
