//! Programs that are given a time limit, and end with all that they have started.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How a program ended.
pub(super) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It took longer than it may.
    TimeLimit,
    /// Somebody asked for it.
    Stopped,
}

/// Runs a program to its end, or until the limit, or until `stop` is set; then it and its children are gone.
pub(super) fn run_until(command: &mut Command, limit: Duration, stop: &AtomicBool) -> std::io::Result<Ended> {
    wait(&mut command.process_group(0).spawn()?, limit, stop)
}

/// What a program prints to standard output; none if it cannot be started, takes too long, or prints what is not UTF-8.
pub(super) fn answer(command: &mut Command, limit: Duration) -> Option<String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.process_group(0).spawn().ok()?;
    let mut output = child.stdout.take()?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    });
    match wait(&mut child, limit, &AtomicBool::new(false)) {
        Ok(Ended::Exited(_)) => reader.join().ok()?.ok(),
        _ => None,
    }
}

fn wait(child: &mut Child, limit: Duration, stop: &AtomicBool) -> std::io::Result<Ended> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Exited(status));
        }
        let stopped = stop.load(Ordering::Relaxed);
        if stopped || start.elapsed() >= limit {
            // Compilers that Python has started, too. That the group is gone already is not an error.
            let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
            child.wait()?;
            return Ok(if stopped { Ended::Stopped } else { Ended::TimeLimit });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
