//! [`Settings`]: whether what must not matter does: tier, mode, cores, pool, threads, order, what ran before.

use super::comparison::{compare, judge};
use super::finding::Finding;
use super::judge::{Case, Judge};
use super::launcher::{Launcher, can_be_in_place};
use super::random::Random;
use crate::replay::{Mode, Setting};
use crate::tier::Tier;

/// The name of this judge.
pub(crate) const SETTINGS: &str = "settings";

/// Settings that a case is launched in, besides the reference.
const SETTINGS_OF_A_CASE: usize = 6;

/// Bytes of pools: of the smallest that every walk takes, of the device, of all TCM, and between them.
const POOLS: [usize; 8] = [1024, 1088, 1536, 2048, 4096, 7168, 16 * 1024, 64 * 1024];

/// Elements of an operand that the isa tier is not asked for more than: it takes hundreds of times as long.
const ISA_BYTES: usize = 2048;

/// Compares the settings.
#[derive(Default)]
pub(crate) struct Settings {
    comparisons: u64,
}

impl Judge for Settings {
    fn name(&self) -> &'static str {
        SETTINGS
    }

    fn comparisons(&self) -> u64 {
        self.comparisons
    }

    fn judge(
        &mut self,
        launcher: &mut Launcher,
        case: &Case<'_>,
        random: &mut Random,
    ) -> anyhow::Result<Option<Finding>> {
        if let Some(finding) = judge(case.reference, &Setting::REFERENCE) {
            return Ok(Some(finding));
        }
        let can_be_in_place = can_be_in_place(case.op, case.operands);
        let tiers: Vec<_> = launcher.libraries().tiers().collect();
        for number in 0..SETTINGS_OF_A_CASE {
            let mut setting = draw(&tiers, random);
            // Each tier that is there, at least once.
            setting.tier = tiers.get(number + 1).copied().unwrap_or(setting.tier);
            setting.in_place &= can_be_in_place;
            if setting.tier == Tier::Isa && case.operands.bytes() > ISA_BYTES {
                setting.tier = Tier::Native;
            }
            if let Some(finding) = self.compare(launcher, case, &Setting::REFERENCE, &setting)? {
                return Ok(Some(finding));
            }
        }
        Ok(None)
    }

    fn again(
        &mut self,
        launcher: &mut Launcher,
        case: &Case<'_>,
        settings: &[Setting],
    ) -> anyhow::Result<Option<Finding>> {
        match settings {
            [reference, setting] => self.compare(launcher, case, reference, setting),
            [setting] => Ok(judge(&launcher.launch(case.op.name(), case.operands, setting)?, setting)),
            _ => Ok(None),
        }
    }
}

impl Settings {
    fn compare(
        &mut self,
        launcher: &mut Launcher,
        case: &Case<'_>,
        reference: &Setting,
        setting: &Setting,
    ) -> anyhow::Result<Option<Finding>> {
        self.comparisons += 1;
        let found = launcher.launch(case.op.name(), case.operands, setting)?;
        let again;
        let expected = if *reference == Setting::REFERENCE {
            case.reference
        } else {
            again = launcher.launch(case.op.name(), case.operands, reference)?;
            &again
        };
        Ok(compare(case.op.outputs(), (expected, reference), (&found, setting)))
    }
}

/// A setting, often one that differs from the reference in little.
fn draw(tiers: &[Tier], random: &mut Random) -> Setting {
    let mut setting = Setting::REFERENCE;
    setting.tier = random.pick(tiers);
    setting.mode = random.pick(&[Mode::Checked, Mode::Fast]);
    if random.percent(70) {
        setting.cores = 1 + random.below(8);
    }
    if random.percent(60) {
        setting.tcm_bytes = Some(random.pick(&POOLS));
    }
    if random.percent(20) {
        setting.threads = random.pick(&[2, 3, 8]);
    } else if random.percent(25) {
        setting.schedule = Some(random.below(8) as u64);
    }
    setting.copies = setting.mode == Mode::Fast && random.percent(30);
    setting.flush_to_zero = random.percent(15);
    setting.in_place = random.percent(30);
    if random.percent(15) {
        setting.launches_before = 1 + random.below(2);
    }
    setting
}
