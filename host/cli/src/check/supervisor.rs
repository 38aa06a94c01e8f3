//! Runs a check in a process of its own: a kernel's `unsafe` code may end it, which is a finding like others.
//!
//! After a crash the same check, which draws the same operands again, writes down every launch before it is made. What it wrote
//! last is the counterexample, which is [made smaller](super::crash); then it goes on with the other ops.

use std::env;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use anyhow::{Context, bail, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::crash;
use super::launcher::Interrupted;
use super::report::{Found, OpReport};
use super::state::State;
use crate::replay::Replay;

/// What the process that checks is told in its environment: what it does, and for which run of the supervisor.
const ROLE: &str = "GPSIMD_CHECK_ROLE";
const RUN: &str = "GPSIMD_CHECK_RUN";

/// What the process that checks does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    /// It was started by a person, and starts another.
    Supervisor,
    /// It checks.
    Worker,
    /// It goes on after a crash, and writes down every launch.
    Careful,
    /// It makes a crash smaller.
    Smaller,
    /// It goes on with the other ops after a crash that is known.
    Onward,
}

impl Role {
    pub(super) fn of_process() -> Self {
        match env::var(ROLE).as_deref() {
            Ok("worker") => Self::Worker,
            Ok("careful") => Self::Careful,
            Ok("smaller") => Self::Smaller,
            Ok("onward") => Self::Onward,
            _ => Self::Supervisor,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Supervisor => "",
            Self::Worker => "worker",
            Self::Careful => "careful",
            Self::Smaller => "smaller",
            Self::Onward => "onward",
        }
    }
}

/// Runs this command again in processes of their own until one ends by itself, and ends as that did. `folder` is that of the
/// library's artifacts, `counterexamples` where a crash is saved.
pub(super) fn supervise(folder: &Path, witness: &Path, counterexamples: &Path) -> anyhow::Result<()> {
    // Ctrl-C reaches the other process, too, which says what it has found.
    signal_hook::flag::register(SIGINT, Arc::new(AtomicBool::new(false))).context("cannot listen to Ctrl-C")?;
    // What an earlier check wrote down says nothing of this one.
    remove(witness)?;
    let run = format!("{}-{:?}", std::process::id(), SystemTime::now());
    let mut role = Role::Worker;
    loop {
        let status = command(role)?.env(RUN, &run).status().context("cannot start the process that checks")?;
        let Some(signal) = status.signal() else { std::process::exit(status.code().unwrap_or(1)) };
        // Somebody ended it, not a kernel. At Ctrl-C, before it listens: while op libraries are built.
        if signal == SIGINT {
            return Err(Interrupted::Building.into());
        }
        ensure!(
            ![SIGTERM, SIGHUP, SIGQUIT].contains(&signal),
            "the check was ended by signal {signal}; --resume goes on from here"
        );
        match role {
            Role::Worker | Role::Onward => {
                eprintln!("the check was ended by signal {signal}: once more, with every launch written down");
                role = Role::Careful;
            }
            Role::Careful => {
                save(folder, witness, counterexamples, signal)?;
                role = Role::Onward;
            }
            Role::Supervisor | Role::Smaller => bail!("a {role:?} does not check"),
        }
    }
}

/// Which run of the supervisor this process belongs to.
pub(super) fn run() -> String {
    env::var(RUN).unwrap_or_default()
}

fn remove(file: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// This command again, in this role.
pub(super) fn command(role: Role) -> anyhow::Result<Command> {
    let program = env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    command.args(env::args_os().skip(1)).env(ROLE, role.name());
    Ok(command)
}

/// Makes the launch that was written down last the counterexample of its op, as small as it gets.
fn save(folder: &Path, witness: &Path, counterexamples: &Path, signal: i32) -> anyhow::Result<()> {
    let replay = Replay::read(witness).context("the check was ended by a signal, before any launch")?;
    let mut replay = crash::smallest(folder, witness, replay, signal)?;
    replay.finding = format!("the launch ended the whole process, by signal {signal}");
    std::fs::create_dir_all(counterexamples)?;
    let file = counterexamples.join(format!("{}-{}-crash.safetensors", replay.library, replay.op));
    replay.write(&file)?;
    remove(witness)?;
    let path = State::path(folder);
    let mut state = State::read(&path)?;
    state.put(OpReport::crashed(&replay.op, Found::of_crash(&replay, signal, &file)));
    state.write(&path)
}
