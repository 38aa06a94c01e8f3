//! A launch that ends the whole process, made smaller: each attempt may end a process, too.
//!
//! A process writes every smaller launch down before it makes it. The one that ends it is the new counterexample, from which the
//! next process goes on, until one finds nothing smaller and ends by itself, or the time is over.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::SIGINT;

use super::SETTINGS;
use super::finding::Finding;
use super::launcher::Launcher;
use super::shrink::{Counterexample, descend};
use super::state::State;
use super::supervisor::{Role, command};
use crate::libraries::Libraries;
use crate::operands::Operands;
use crate::replay::{Replay, Setting};

/// How long a crash is made smaller in all, and how long each launch may take then.
const TIME: Duration = Duration::from_secs(20);
const TIME_OF_LAUNCH: Duration = Duration::from_secs(1);

/// How often it is looked whether a process has ended.
const INTERVAL: Duration = Duration::from_millis(5);

/// Where the smallest launch so far is, of the folder of a library's artifacts.
fn smallest_so_far(folder: &Path) -> PathBuf {
    folder.join("check-crash.safetensors")
}

/// The smallest launch that follows from one that ends a process by this signal; `witness` is where processes write launches down.
pub(super) fn smallest(folder: &Path, witness: &Path, mut best: Replay, signal: i32) -> anyhow::Result<Replay> {
    let (file, deadline) = (smallest_so_far(folder), Instant::now() + TIME);
    loop {
        best.write(&file)?;
        // By another signal it is another mistake.
        if status_by(deadline)?.and_then(|status| status.signal()) != Some(signal) {
            break;
        }
        best = Replay::read(witness).context("a process was ended by a signal, before any launch")?;
    }
    std::fs::remove_file(&file)?;
    Ok(best)
}

/// How a process that makes it smaller ends; none if it has not by then.
fn status_by(deadline: Instant) -> anyhow::Result<Option<ExitStatus>> {
    let mut process = command(Role::Smaller)?.spawn().context("cannot start the process that makes a crash smaller")?;
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            process.kill()?;
            process.wait()?;
            return Ok(None);
        }
        sleep(INTERVAL);
    }
}

/// Looks for a launch that is smaller than the smallest so far and ends this process; returns if there is none.
pub(super) fn make_smaller(folder: &Path, witness: &Path) -> anyhow::Result<()> {
    let replay = Replay::read(&smallest_so_far(folder))?;
    let libraries = Libraries::load(&State::read(&State::path(folder))?.libraries)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&interrupted)).context("cannot listen to Ctrl-C")?;
    let op = libraries.native().op(&replay.op)?;
    let operands = replay.operands(libraries.native())?;
    let mut launcher = Launcher::new(libraries).watched(&interrupted, Some(witness.to_path_buf()));
    launcher.set_time_limit(Some(TIME_OF_LAUNCH));
    let Replay { finding: message, settings, .. } = replay;
    let finding = Finding { judge: SETTINGS, kind: String::new(), message, settings, at: None };
    let mut look = |operands: &Operands, settings: &[Setting]| {
        for setting in settings {
            // What comes back, with whatever, has not ended the process.
            let _ = launcher.launch(op.name(), operands, setting)?;
        }
        Ok(None)
    };
    descend(&op, Counterexample { operands, finding }, Instant::now() + TIME, &mut look).map(drop)
}
