//! `cargo xtask fuzz`: bytes that nobody meant, for everything that reads files and requests.

#[cfg(test)]
mod corpora;
mod programs;
mod run;
mod save;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, ensure};
use cargo_gpsimd::{process, table};

use self::programs::Programs;
use self::run::Outcome;
use self::target::Target;
use crate::stop::{Stop, Stopped};

/// Look for bytes on which a reader panics, hangs, or takes much more memory than they are.
///
/// Runs every fuzz target of the repository in turn, each for --seconds: of the Rust crates, whose code is compiled for it as
/// libFuzzer wants it, and of the Python application, under Atheris in an environment of its own. A run starts from
/// the corpus beside the target (host/*/fuzz/corpus), which `cargo test` and pytest read too, and from what earlier runs found
/// interesting (target/fuzz/corpus).
///
/// A finding is a panic or an exception that is not documented, an input that takes over 5 seconds, or memory over 2 GiB; its
/// input stays in target/fuzz/findings.
///
/// Exit status: 0 nothing found, 1 a finding or an error, 2 a wrong command line, 130 stopped.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask fuzz                            # all targets, a minute each\n\
\x20 cargo xtask fuzz image neff --seconds 3600\n\
\x20 cargo xtask fuzz neff --input target/fuzz/findings/neff/crash-0123abcd\n\
\x20 cargo xtask fuzz --save --seconds 0         # what the corpora need of what earlier runs found")]
pub(crate) struct Fuzz {
    /// Targets [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Time for each target
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// Run one target on this input alone
    #[arg(long, value_name = "FILE", conflicts_with_all = ["save", "json"])]
    input: Option<PathBuf>,
    /// Afterwards, make the corpora beside the targets the few small inputs that reach most of what is reached
    #[arg(long)]
    save: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Fuzz {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let targets = self.targets()?;
        let programs = Programs::build(&targets)?;
        if let Some(input) = &self.input {
            let [target] = &targets[..] else { bail!("--input is of one target: name it") };
            let mut command = programs.command(target);
            return Err(process::become_it(command.args(run::LIMITS).arg(std::path::absolute(input)?)));
        }
        let stop = Stop::at_ctrl_c()?;
        let mut outcomes = Vec::new();
        if self.seconds > 0 {
            for target in &targets {
                outcomes.push(run::run(target, &programs, Duration::from_secs(self.seconds), &stop)?);
                if stop.is_asked() {
                    break;
                }
            }
        }
        if self.seconds > 0 {
            self.print(&outcomes)?;
        }
        if stop.is_asked() {
            return Err(Stopped.into());
        }
        if self.save {
            for target in &targets {
                save::save(target, &programs)?;
            }
        }
        let found = outcomes.iter().filter(|outcome| outcome.finding.is_some()).count();
        ensure!(found == 0, "{found} of {} fuzz targets have a finding", outcomes.len());
        Ok(())
    }

    fn targets(&self) -> anyhow::Result<Vec<Target>> {
        let all = target::all()?;
        for name in &self.targets {
            let names: Vec<_> = all.iter().map(|target| target.name.as_str()).collect();
            ensure!(names.contains(&name.as_str()), "there is no fuzz target `{name}`, only {}", names.join(", "));
        }
        let is_asked = |target: &Target| self.targets.is_empty() || self.targets.contains(&target.name);
        Ok(all.into_iter().filter(is_asked).collect())
    }

    fn print(&self, outcomes: &[Outcome]) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(outcomes)?);
            return Ok(());
        }
        let mut rows = table::table(
            &["target", "seconds", "executions", "per second", "corpus", "edges", "peak MiB", "finding"],
            1,
        );
        for outcome in outcomes {
            rows.add_row([
                outcome.target.clone(),
                format!("{:.0}", outcome.seconds),
                outcome.executions.to_string(),
                format!("{:.0}", outcome.executions as f64 / outcome.seconds),
                format!("{} -> {}", outcome.corpus.0, outcome.corpus.1),
                format!("{} -> {}", outcome.edges.0, outcome.edges.1),
                outcome.peak_mib.to_string(),
                outcome.finding.as_ref().map_or("none", |finding| finding.kind).to_owned(),
            ]);
        }
        print!("{}", table::lines(&rows));
        for outcome in outcomes {
            if let Some(finding) = &outcome.finding {
                println!("\n{}: {}\n{}\n  again: {}", outcome.target, finding.kind, finding.message, finding.command);
            }
        }
        Ok(())
    }
}
