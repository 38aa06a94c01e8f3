//! Runs a fuzz target: libFuzzer's arguments, and what it prints, read.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use regex::Regex;
use rustix::process::{Pid, Signal};
use serde::Serialize;

use super::programs::Programs;
use super::target::Target;
use crate::stop::Stop;
use cargo_gpsimd::process;

/// What one input may take.
pub(super) const LIMITS: [&str; 2] = ["-timeout=5", "-rss_limit_mb=2048"];

/// The kind of a finding that took longer.
const SLOW: &str = "over 5 seconds";

/// Address space of a Rust target: memory that is asked for and never touched counts, too.
#[cfg(target_os = "linux")]
const ADDRESS_SPACE: u64 = 4 << 30;

/// What a run came to.
#[derive(Serialize)]
pub(super) struct Outcome {
    pub(super) target: String,
    pub(super) seconds: f64,
    pub(super) executions: u64,
    /// Inputs of the corpus, before and after.
    pub(super) corpus: (u64, u64),
    /// Edges of the control flow that the corpus reaches, before and after.
    pub(super) edges: (u64, u64),
    pub(super) peak_mib: u64,
    pub(super) finding: Option<Finding>,
}

/// An input that should have been read or refused.
#[derive(Serialize)]
pub(super) struct Finding {
    pub(super) kind: &'static str,
    pub(super) input: String,
    pub(super) message: String,
    /// What runs the target on the input again.
    pub(super) command: String,
}

/// What was printed so far.
#[derive(Default)]
struct Progress {
    first: Option<State>,
    last: State,
    executions: u64,
    peak_mib: u64,
    input: Option<String>,
    /// What was printed since the last line of progress.
    message: Vec<String>,
}

/// The figures of a line of progress.
#[derive(Clone, Copy, Default)]
struct State {
    edges: u64,
    corpus: u64,
}

impl Progress {
    fn read(&mut self, line: &str) {
        static STATE: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"^#(\d+)\s+(\w+).* cov: (\d+) .*corp: (\d+)/.* rss: (\d+)Mb").expect("valid"));
        static FINAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^stat::(\w+):\s+(\d+)").expect("valid"));
        let number = |text: &str| text.parse().unwrap_or(0);
        if let Some(found) = STATE.captures(line) {
            self.last = State { edges: number(&found[3]), corpus: number(&found[4]) };
            (self.executions, self.peak_mib) = (number(&found[1]), number(&found[5]));
            if &found[2] == "INITED" {
                self.first = Some(self.last);
            }
            self.message.clear();
        } else if let Some(found) = FINAL.captures(line) {
            match &found[1] {
                "number_of_executed_units" => self.executions = number(&found[2]),
                "peak_rss_mb" => self.peak_mib = number(&found[2]),
                _ => {}
            }
        } else if let Some((_, input)) = line.split_once("Test unit written to ") {
            self.input = Some(input.to_owned());
        } else if self.message.len() < 20 && !["", "INFO", "WARNING"].iter().any(|start| is_of(line, start)) {
            self.message.push(line.to_owned());
        }
    }
}

/// Whether a line is of libFuzzer's kind `kind`; of none, whether it is empty.
fn is_of(line: &str, kind: &str) -> bool {
    line.split(':').next().is_some_and(|start| start.trim() == kind)
}

impl Outcome {
    /// Of this run and the one after it.
    fn then(self, next: Self) -> Self {
        Self {
            target: self.target,
            seconds: self.seconds + next.seconds,
            executions: self.executions + next.executions,
            // The next may have ended before it had read the corpus.
            corpus: (self.corpus.0, next.corpus.1.max(self.corpus.1)),
            edges: (self.edges.0, next.edges.1.max(self.edges.1)),
            peak_mib: self.peak_mib.max(next.peak_mib),
            finding: next.finding,
        }
    }
}

/// Runs `target` for `time`, or until it finds something or `stop`.
///
/// libFuzzer's seconds are those of a clock on the wall: on a machine that stood still, or has much else to do, any input takes
/// too many. What does not take them again is no finding.
pub(super) fn run(target: &Target, programs: &Programs, time: Duration, stop: &Stop) -> anyhow::Result<Outcome> {
    let mut outcome = once(target, programs, time, stop)?;
    while let Some(finding) = outcome.finding.take_if(|finding| finding.kind == SLOW && !stop.is_asked()) {
        if comes_again(target, programs, &finding)? {
            outcome.finding = Some(finding);
            break;
        }
        fs::remove_file(&finding.input).with_context(|| format!("cannot remove {}", finding.input))?;
        let left = time.saturating_sub(Duration::from_secs_f64(outcome.seconds));
        if left < Duration::from_secs(1) {
            break;
        }
        outcome = outcome.then(once(target, programs, left, stop)?);
    }
    Ok(outcome)
}

fn comes_again(target: &Target, programs: &Programs, finding: &Finding) -> anyhow::Result<bool> {
    let mut command = programs.command(target);
    // Relative to the current folder, which need not be the command's.
    let input = std::path::absolute(&finding.input).context("cannot find the current folder")?;
    let output = command.args(LIMITS).arg(input).output();
    Ok(!output.with_context(|| format!("cannot start the fuzz target {}", target.name))?.status.success())
}

fn once(target: &Target, programs: &Programs, time: Duration, stop: &Stop) -> anyhow::Result<Outcome> {
    for folder in [target.corpus(), target.findings(), target.log().with_file_name("")] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut command = programs.command(target);
    command
        .args(LIMITS)
        .args(["-print_final_stats=1", "-reload=0"])
        .arg(format!("-max_total_time={}", time.as_secs()))
        // A slash at the end: it is the beginning of names.
        .arg(format!("-artifact_prefix={}/", target.findings().display()));
    if let Some(dictionary) = target.dictionary() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    // New inputs go into the first.
    command.arg(target.corpus()).arg(target.seeds());
    let start = Instant::now();
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start the fuzz target {}", target.name))?;
    #[cfg(target_os = "linux")]
    if target.language == super::target::Language::Rust {
        limit_memory(&child)?;
    }
    let progress = Arc::new(Mutex::new(Progress::default()));
    let output = child.stderr.take().context("the output of a fuzz target")?;
    let mut log = File::create(target.log()).with_context(|| format!("cannot write {}", target.log().display()))?;
    let reader = std::thread::spawn({
        let progress = Arc::clone(&progress);
        move || -> std::io::Result<()> {
            for line in BufReader::new(output).split(b'\n') {
                let line = line?;
                log.write_all(&line)?;
                log.write_all(b"\n")?;
                progress.lock().unwrap_or_else(PoisonError::into_inner).read(&String::from_utf8_lossy(&line));
            }
            Ok(())
        }
    });
    let status = watch(&mut child, target, time, &progress, stop)?;
    reader.join().expect("the reader does not panic").context("cannot read what a fuzz target prints")?;
    let seconds = start.elapsed().as_secs_f64();
    let progress = std::mem::take(&mut *progress.lock().unwrap_or_else(PoisonError::into_inner));
    let finding = progress.input.as_deref().map(|input| finding(target, input, &progress.message));
    ensure!(
        status.success() || finding.is_some() || stop.is_asked(),
        "the fuzz target {} ended without a finding: {status}; {} has what it printed",
        target.name,
        process::shown_path(&target.log()),
    );
    let first = progress.first.unwrap_or_default();
    Ok(Outcome {
        target: target.name.clone(),
        seconds,
        executions: progress.executions,
        corpus: (first.corpus, progress.last.corpus),
        edges: (first.edges, progress.last.edges),
        peak_mib: progress.peak_mib,
        finding,
    })
}

/// Shows how far it is until it ends.
fn watch(
    child: &mut Child,
    target: &Target,
    time: Duration,
    progress: &Mutex<Progress>,
    stop: &Stop,
) -> anyhow::Result<std::process::ExitStatus> {
    let style = ProgressStyle::with_template("{prefix:12} {bar:30} {elapsed}  {msg}").expect("a valid template");
    let bar = ProgressBar::new(time.as_secs()).with_style(style).with_prefix(target.name.clone());
    let start = Instant::now();
    let mut is_told = false;
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for a fuzz target")? {
            break status;
        }
        if stop.is_asked() && !is_told {
            is_told = true;
            let pid = Pid::from_child(child);
            // It may have ended by now, and Ctrl-C has reached it too.
            let _ = rustix::process::kill_process(pid, Signal::INT);
        }
        {
            let progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            bar.set_position(start.elapsed().as_secs().min(time.as_secs()));
            let State { edges, corpus } = progress.last;
            bar.set_message(format!("{} executions, {corpus} inputs, {edges} edges", progress.executions));
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    bar.finish_and_clear();
    Ok(status)
}

fn finding(target: &Target, input: &str, message: &[String]) -> Finding {
    let name = Path::new(input).file_name().unwrap_or_default().to_string_lossy();
    let kind = match name.split('-').next() {
        Some("timeout") => SLOW,
        Some("oom") => "over 2 GiB",
        Some("slow") => "slow",
        _ => "crash",
    };
    let input = process::shown_path(Path::new(input));
    let command = format!("cargo xtask fuzz {} --input {input}", target.name);
    Finding { kind, input, message: message.join("\n"), command }
}

/// An allocation beyond it fails, which ends the process: a finding.
#[cfg(target_os = "linux")]
fn limit_memory(child: &Child) -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit};

    let limit = Rlimit { current: Some(ADDRESS_SPACE), maximum: Some(ADDRESS_SPACE) };
    rustix::process::prlimit(Some(Pid::from_child(child)), Resource::As, limit)
        .map(|_| ())
        .context("cannot limit the memory of a fuzz target")
}
