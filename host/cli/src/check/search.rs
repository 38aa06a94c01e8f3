//! [`Search`]: draws cases of an op until there is a counterexample, or no time left.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gpsimd_emulator::{LaunchError, Misuse, Op};

use super::draw::Draw;
use super::finding::Finding;
use super::judge::{Case, Judge, judges};
use super::launcher::{Interrupted, Launcher};
use super::random::Random;
use super::shrink::{Counterexample, shrink};
use crate::operands::Operands;
use crate::replay::Setting;

/// How long a counterexample is made smaller, and how long each launch may take then.
const SHRINKING: Duration = Duration::from_secs(10);
const SHRINKING_LAUNCH: Duration = Duration::from_secs(1);

/// How often operands are corrected in one case.
const CORRECTIONS: usize = 6;

/// How long to search.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    /// Until then, and one case at least.
    Until(Instant),
    /// As many cases, the same on every computer.
    Cases(u64),
}

impl Budget {
    fn is_left(self, cases: u64) -> bool {
        match self {
            Self::Until(deadline) => cases == 0 || Instant::now() < deadline,
            Self::Cases(all) => cases < all,
        }
    }
}

/// Looks for a counterexample of an op.
pub(crate) struct Search<'a> {
    op: &'a Op,
    seed: u64,
    draw: Draw,
    judges: Vec<Box<dyn Judge>>,
}

/// What a search came to.
#[derive(Default)]
pub(crate) struct Searched {
    /// Different types and sizes.
    pub(crate) shapes: BTreeSet<String>,
    /// Cases, and those of them on which the op computed something.
    pub(crate) cases: u64,
    pub(crate) computed: u64,
    /// What it said of the last operands that it refused.
    pub(crate) refusal: Option<String>,
    /// Comparisons of two results.
    pub(crate) comparisons: u64,
    /// What judges say about an op in which nothing was found.
    pub(crate) notes: Vec<String>,
    /// How long it searched; making a counterexample smaller does not count.
    pub(crate) time: Duration,
    pub(crate) counterexample: Option<Counterexample>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(op: &'a Op, seed: u64) -> Self {
        Self { op, seed, draw: Draw::new(op), judges: judges() }
    }

    /// Searches as long as the budget says, or until Ctrl-C. An earlier search with the same seed that has come to `from` cases goes on.
    /// `progress` is told how far it is.
    pub(crate) fn run(
        mut self,
        launcher: &mut Launcher,
        from: u64,
        budget: Budget,
        progress: &dyn Fn(&Searched),
    ) -> anyhow::Result<Searched> {
        let (start, mut searched) = (Instant::now(), Searched::default());
        let mut random = Random::new(self.seed, (self.op.name(), from));
        while budget.is_left(searched.cases) {
            let Some(mut operands) = self.draw.draw(&mut random) else { break };
            searched.cases += 1;
            searched.shapes.insert(format!("{:?}{:?}", operands.types(), operands.sizes()));
            let found = match self.look(launcher, &mut operands, &mut random, &mut searched) {
                Err(error) if error.is::<Interrupted>() => break,
                found => found?,
            };
            progress(&searched);
            if let Some(finding) = found {
                searched.time = start.elapsed();
                searched.comparisons = self.comparisons();
                let found = Counterexample { operands, finding };
                searched.counterexample = Some(self.shrink(launcher, found)?);
                break;
            }
        }
        if searched.counterexample.is_none() {
            searched.notes = self.judges.iter().filter_map(|judge| judge.note(self.op.descriptor())).collect();
            searched.time = start.elapsed();
            searched.comparisons = self.comparisons();
        }
        Ok(searched)
    }

    /// Asks all judges of one case. Indices that the op refuses are corrected first.
    fn look(
        &mut self,
        launcher: &mut Launcher,
        operands: &mut Operands,
        random: &mut Random,
        searched: &mut Searched,
    ) -> anyhow::Result<Option<Finding>> {
        let mut reference = launcher.launch(self.op.name(), operands, &Setting::REFERENCE)?;
        for attempt in 0..CORRECTIONS {
            let Err(LaunchError::Kernel(error)) = &reference else { break };
            let Misuse::Refused { message } = &error.misuse else { break };
            if !self.draw.correct(operands, message, attempt) {
                break;
            }
            reference = launcher.launch(self.op.name(), operands, &Setting::REFERENCE)?;
        }
        match &reference {
            Ok(_) => {
                searched.computed += 1;
                self.draw.keep(random);
            }
            Err(refusal) => searched.refusal = Some(refusal.to_string()),
        }
        let case = Case { op: self.op, operands, reference: &reference };
        for judge in &mut self.judges {
            if let Some(finding) = judge.judge(launcher, &case, random)? {
                return Ok(Some(finding));
            }
        }
        Ok(None)
    }

    fn comparisons(&self) -> u64 {
        self.judges.iter().map(|judge| judge.comparisons()).sum()
    }

    fn shrink(&mut self, launcher: &mut Launcher, found: Counterexample) -> anyhow::Result<Counterexample> {
        let Some(judge) = self.judges.iter_mut().find(|judge| judge.name() == found.finding.judge) else {
            return Ok(found);
        };
        launcher.set_time_limit(Some(SHRINKING_LAUNCH));
        let op = self.op;
        let mut look = |operands: &Operands, settings: &[Setting]| {
            // What is found by then is kept.
            if launcher.is_interrupted() {
                return Ok(None);
            }
            let reference = launcher.launch(op.name(), operands, &Setting::REFERENCE)?;
            judge.again(launcher, &Case { op, operands, reference: &reference }, settings)
        };
        let shrunk = shrink(op, found, Instant::now() + SHRINKING, &mut look);
        launcher.set_time_limit(None);
        shrunk
    }
}
