//! [`Session`]: a debugger at the kernel of an op.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::bail;

use super::Program;
use super::breakpoints::Breakpoint;
use crate::process;

/// A debugger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Debugger {
    /// The GNU debugger
    Gdb,
    /// LLVM's debugger
    Lldb,
    /// Print the commands for both
    None,
}

/// What is to be debugged.
pub(super) struct Session {
    /// For people.
    pub(super) name: String,
    /// This program, which launches the op.
    pub(super) program: PathBuf,
    pub(super) library: PathBuf,
    /// The replay file.
    pub(super) launch: PathBuf,
    pub(super) breakpoints: Vec<Breakpoint>,
    /// The core that runs first, if one is asked for.
    pub(super) core: Option<usize>,
}

impl Debugger {
    /// The first that is there.
    pub(super) fn installed() -> anyhow::Result<Self> {
        let runs = |debugger: &Self| {
            let mut command = Command::new(debugger.program());
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        match [Self::Gdb, Self::Lldb].into_iter().find(runs) {
            Some(debugger) => Ok(debugger),
            None => bail!(
                "there is no debugger: install gdb or lldb (on Debian and Ubuntu: sudo apt-get install gdb), or give \
                 --debugger none, which prints the command, or --vscode"
            ),
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Lldb => "lldb",
            Self::Gdb | Self::None => "gdb",
        }
    }
}

impl Session {
    /// The debugger, which stops at the kernel.
    pub(super) fn command(&self, debugger: Debugger, options: &[OsString]) -> Command {
        let mut command = Command::new(debugger.program());
        if debugger == Debugger::Lldb {
            for one in self.lldb_commands() {
                command.args(["-o", &one]);
            }
            command.args(["-o", "run"]).args(options).arg("--");
        } else {
            // What is set before the library is loaded is a complaint for each place.
            let name = self.library.file_name().unwrap_or_default().to_string_lossy();
            let before = ["set print thread-events off".to_owned(), format!("tcatch load {name}"), "run".to_owned()];
            command.arg("-q");
            for one in before.iter().chain(&self.gdb_commands()) {
                command.args(["-ex", one]);
            }
            command.args(["-ex", "continue"]).args(options).arg("--args");
        }
        command.arg(&self.program).args(self.arguments());
        command
    }

    /// Commands of both debuggers, as one would type them.
    pub(super) fn shown(&self) -> String {
        let command = |debugger| process::show(&self.command(debugger, &[]));
        format!("{}\n\n{}", command(Debugger::Gdb), command(Debugger::Lldb))
    }

    /// Arguments of the program.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![Program::NAME.into(), self.library.clone().into(), self.launch.clone().into()];
        if let Some(core) = self.core {
            arguments.extend(["--core".into(), core.to_string().into()]);
        }
        arguments
    }

    /// What gdb is told to stop at the places.
    pub(super) fn gdb_commands(&self) -> Vec<String> {
        let command = |breakpoint: &Breakpoint| match breakpoint {
            Breakpoint::Function(symbol) => format!("break {symbol}"),
            Breakpoint::Line { file, line } => format!("break {}:{line}", file.display()),
        };
        self.breakpoints.iter().map(command).collect()
    }

    /// What lldb is told before the program runs.
    pub(super) fn lldb_commands(&self) -> Vec<String> {
        let command = |breakpoint: &Breakpoint| match breakpoint {
            Breakpoint::Function(symbol) => format!("breakpoint set --name {symbol}"),
            Breakpoint::Line { file, line } => format!("breakpoint set --file '{}' --line {line}", file.display()),
        };
        self.breakpoints.iter().map(command).collect()
    }
}
