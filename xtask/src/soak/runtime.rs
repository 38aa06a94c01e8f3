//! `cargo xtask soak runtime`: a NEFF on the emulated Neuron Runtime, a great many times.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::run_neff;
use crate::stop::{Stop, Stopped};
use cargo_gpsimd::table;

/// Of the samples, in which memory is taken that stays: threads and their stacks, the allocator's arenas.
const WARM_UP: f64 = 0.2;

/// Memory that may come and go.
const GROWTH_MIB: f64 = 2.0;

const MIB: f64 = 1_048_576.0;

#[derive(clap::Args)]
pub(super) struct Runtime {
    /// How many times the model is executed; it is loaded anew for every hundred
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..))]
    executions: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Default, Serialize)]
struct Result {
    executions: u64,
    seconds: f64,
    samples: usize,
    rss_first_mib: f64,
    rss_last_mib: f64,
    threads: (u64, u64),
    files: (u64, u64),
    failures: Vec<String>,
}

/// The process, seen from the outside.
#[derive(Clone, Copy)]
struct Sample {
    rss: u64,
    threads: u64,
    files: u64,
}

impl Sample {
    /// Of a process that may have ended.
    fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
        Some(Self { rss: number("VmRSS:")? << 10, threads: number("Threads:")?, files })
    }
}

impl Runtime {
    pub(super) fn run(self) -> anyhow::Result<()> {
        ensure!(cfg!(target_os = "linux"), "memory is read in /proc, which only Linux has: run this soak there");
        let mut command = run_neff::example()?;
        command
            .args(["--executions", &self.executions.to_string()])
            // Where it says what was not freed.
            .env("NEURON_RT_LOG_LEVEL", "WARN")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let stop = Stop::at_ctrl_c()?;
        let start = Instant::now();
        let mut child = command.spawn().context("cannot start the example run_neff")?;
        let done = Arc::new(AtomicU64::new(0));
        let output = BufReader::new(child.stdout.take().context("its output")?);
        let mut errors = child.stderr.take().context("its errors")?;
        let counting = std::thread::spawn({
            let done = Arc::clone(&done);
            move || {
                for line in output.lines().map_while(std::result::Result::ok) {
                    if let Some(count) = line.strip_prefix("executed ").and_then(|count| count.parse().ok()) {
                        done.store(count, Ordering::Relaxed);
                    }
                }
            }
        });
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).map(|_| text)
        });
        let samples = watch(&mut child, self.executions, &done, &stop)?;
        let status = child.wait().context("cannot wait for the example run_neff")?;
        counting.join().expect("the counter does not panic");
        let errors = reading.join().expect("the reader does not panic").context("cannot read its errors")?;
        if stop.is_asked() {
            return Err(Stopped.into());
        }
        let mut result = Result {
            executions: done.load(Ordering::Relaxed),
            seconds: start.elapsed().as_secs_f64(),
            ..judged(&samples)
        };
        if !status.success() {
            result.failures.push(format!("it ended with {status}"));
        }
        result.failures.extend(errors.lines().map(str::to_owned));
        self.print(&result)
    }

    fn print(&self, result: &Result) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(result)?);
        } else {
            let mut rows = table::table(&["", ""], 1);
            for (name, value) in [
                ("executions, all of the same bits", result.executions.to_string()),
                ("seconds", format!("{:.1}", result.seconds)),
                ("memory first, last", format!("{:.1}, {:.1} MiB", result.rss_first_mib, result.rss_last_mib)),
                ("threads first, last", format!("{}, {}", result.threads.0, result.threads.1)),
                ("files first, last", format!("{}, {}", result.files.0, result.files.1)),
            ] {
                rows.add_row([name, &value]);
            }
            print!("{}", table::lines(&rows));
        }
        match &result.failures[..] {
            [] => Ok(()),
            failures => bail!("{}", failures.join("\n")),
        }
    }
}

/// Samples the process until it ends.
fn watch(child: &mut Child, executions: u64, done: &AtomicU64, stop: &Stop) -> anyhow::Result<Vec<Sample>> {
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len}  {elapsed}  {msg}").expect("a valid template");
    let bar = ProgressBar::new(executions).with_style(style);
    let mut samples = Vec::new();
    while child.try_wait().context("cannot wait for the example run_neff")?.is_none() {
        if stop.is_asked() {
            // It may have ended by now.
            let _ = child.kill();
        }
        // After the first hundred: before, it starts.
        if done.load(Ordering::Relaxed) > 0
            && let Some(sample) = Sample::of(child.id())
        {
            samples.push(sample);
            bar.set_message(format!("{:.1} MiB", sample.rss as f64 / MIB));
        }
        bar.set_position(done.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_millis(50));
    }
    bar.finish_and_clear();
    Ok(samples)
}

/// What the samples say, and what of it is a failure.
fn judged(samples: &[Sample]) -> Result {
    let kept = &samples[(WARM_UP * samples.len() as f64) as usize..];
    let ([first, ..], [.., last]) = (kept, kept) else {
        return Result { failures: vec!["it ended before it was seen".into()], ..Result::default() };
    };
    let tenth = kept.len().div_ceil(10);
    let median = |samples: &[Sample]| {
        let mut memory: Vec<_> = samples.iter().map(|sample| sample.rss).collect();
        memory.sort_unstable();
        memory[memory.len() / 2] as f64 / MIB
    };
    let (rss_first_mib, rss_last_mib) = (median(&kept[..tenth]), median(&kept[kept.len() - tenth..]));
    let mut failures = Vec::new();
    if rss_last_mib - rss_first_mib > GROWTH_MIB {
        failures.push(format!("memory grew by {:.1} MiB", rss_last_mib - rss_first_mib));
    }
    // Where threads and files come and go, a sample sees some of them.
    let most = |part: &[Sample], of: fn(&Sample) -> u64| part.iter().map(of).max().unwrap_or(0);
    let (half, rest) = kept.split_at(kept.len() / 2);
    for (what, of) in [("threads", (|s| s.threads) as fn(&Sample) -> u64), ("files", |s| s.files)] {
        let (before, after) = (most(half, of), most(rest, of));
        if !half.is_empty() && after > before {
            failures.push(format!("{what} grew from {before} to {after}"));
        }
    }
    Result {
        samples: samples.len(),
        rss_first_mib,
        rss_last_mib,
        threads: (first.threads, last.threads),
        files: (first.files, last.files),
        failures,
        ..Result::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rss: impl Fn(u64) -> u64, files: impl Fn(u64) -> u64) -> Vec<Sample> {
        (0..100).map(|at| Sample { rss: rss(at), threads: 3, files: files(at) }).collect()
    }

    #[test]
    fn memory_that_is_flat_after_the_start_is_no_failure() {
        let flat = samples(|at| if at < 15 { at << 20 } else { (40 << 20) + ((at % 7) << 10) }, |at| 5 + at % 2);
        assert_eq!(judged(&flat).failures, Vec::<String>::new());
    }

    #[test]
    fn what_grows_is_named() {
        let growing = samples(|at| (40 << 20) + (at << 16), |at| 5 + at / 10);
        assert_eq!(judged(&growing).failures, ["memory grew by 4.5 MiB", "files grew from 10 to 14"]);
        assert_eq!(judged(&[]).failures, ["it ended before it was seen"]);
    }
}
