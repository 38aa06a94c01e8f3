//! [`Cli`]: the command line of `cargo gpsimd`.

use std::ffi::OsString;

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
        let arguments = words(std::env::args_os().collect());
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

/// The words of a command line as clap knows them.
fn words(mut arguments: Vec<OsString>) -> Vec<OsString> {
    // `cargo gpsimd build` starts `cargo-gpsimd gpsimd build`.
    if arguments.get(1).is_some_and(|argument| argument == "gpsimd") {
        arguments.remove(1);
    }
    // `help --help`, which clap takes for the help of a command `--help`.
    if arguments.get(1).is_some_and(|argument| argument == "help") {
        arguments.retain(|argument| argument != "--help" && argument != "-h");
    }
    arguments
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn whoever_asks_for_help_gets_it() {
        for line in
            ["--help", "gpsimd --help", "help", "gpsimd help --help", "help -h", "help build --help", "build --help"]
        {
            let arguments = words(std::iter::once("cargo-gpsimd").chain(line.split(' ')).map(Into::into).collect());
            let kind = Cli::command().try_get_matches_from(arguments).unwrap_err().kind();
            assert_eq!(kind, ErrorKind::DisplayHelp, "{line}");
        }
    }

    /// Clap makes one line of a paragraph: what is aligned has to be in `after_help`.
    #[test]
    fn no_help_has_a_list_that_lost_its_lines() {
        fn verify(command: &clap::Command) {
            let own = command.get_long_about().or(command.get_about()).into_iter();
            let of_arguments =
                command.get_arguments().filter_map(|argument| argument.get_long_help().or(argument.get_help()));
            for text in own.chain(of_arguments).map(ToString::to_string) {
                assert!(!text.contains("  "), "{}: {text}", command.get_name());
            }
            command.get_subcommands().for_each(verify);
        }
        verify(&Cli::command());
    }
}
