//! What environment variables say: the documented ones of the Neuron Runtime, and those of the emulation.

use std::path::PathBuf;
use std::time::Duration;

use gpsimd_emulator::Mode;

use crate::cores::Selection;
use crate::error::Error;
use crate::log::Level;

const LOG_LEVEL: &str = "NEURON_RT_LOG_LEVEL";
const VISIBLE_CORES: &str = "NEURON_RT_VISIBLE_CORES";
const NUM_CORES: &str = "NEURON_RT_NUM_CORES";
const EXEC_TIMEOUT: &str = "NEURON_RT_EXEC_TIMEOUT";
const VALIDATE_HASH: &str = "NEURON_RT_VALIDATE_HASH";
const STDOUT_QUEUE: &str = "NEURON_RT_GPSIMD_STDOUT_QUEUE_SIZE_BYTES";
const EMULATED_CORES: &str = "GPSIMD_EMULATED_CORES";
const EMULATED_HBM: &str = "GPSIMD_EMULATED_HBM_BYTES";
const EMULATED_MODE: &str = "GPSIMD_EMULATED_MODE";
const EMULATED_LOCKS: &str = "GPSIMD_EMULATED_LOCK_DIR";

/// NeuronCores of a Trainium chip.
const DEFAULT_CORES: usize = 2;
/// NeuronCores of a trn1.32xlarge: no instance has more of this kind.
const MAX_CORES: usize = 32;
/// A Trainium chip has 32 GiB, half for each NeuronCore.
const DEFAULT_HBM_BYTES: u64 = 16 << 30;
/// The documented default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest queue of what kernels print.
const MAX_STDOUT_QUEUE: u64 = 131_072;

/// What an environment variable says, if it is set.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of this process.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// What `nrt_init` reads.
#[derive(Debug)]
pub(crate) struct Settings {
    /// NeuronCores there are.
    pub(crate) cores: usize,
    /// Those that this process wants.
    pub(crate) selection: Selection,
    /// Device memory of each.
    pub(crate) hbm_bytes: u64,
    /// How much the emulator checks.
    pub(crate) mode: Mode,
    /// Where cores are locked, if not in the user's folder.
    pub(crate) lock_folder: Option<PathBuf>,
    /// Level of the log.
    pub(crate) level: Level,
    /// Whether lines that kernels print are kept.
    pub(crate) kernels_print: bool,
}

impl Settings {
    /// Reads them.
    pub(crate) fn read(variables: Variables) -> Result<Self, Error> {
        let (cores, selection) = read_cores(variables)?;
        let level = match variables(LOG_LEVEL) {
            None => Level::Error,
            Some(value) => Level::parse(&value)
                .ok_or_else(|| invalid(LOG_LEVEL, value, "QUIET, ERROR, WARN, INFO, DEBUG or TRACE"))?,
        };
        let mode = match variables(EMULATED_MODE).as_deref() {
            None | Some("checked") => Mode::Checked,
            Some("fast") => Mode::Fast,
            Some(value) => return Err(invalid(EMULATED_MODE, value.into(), "checked or fast")),
        };
        let hbm_bytes = number(variables, EMULATED_HBM, "a number of bytes")?.unwrap_or(DEFAULT_HBM_BYTES);
        let lock_folder = variables(EMULATED_LOCKS).map(PathBuf::from);
        let kernels_print = level >= Level::Info && has_stdout_queue(variables);
        Ok(Self { cores, selection, hbm_bytes, mode, lock_folder, level, kernels_print })
    }
}

/// NeuronCores there are, and those that the process wants.
pub(crate) fn read_cores(variables: Variables) -> Result<(usize, Selection), Error> {
    let expected = format!("a number from 1 to {MAX_CORES}");
    let cores = match number(variables, EMULATED_CORES, &expected)? {
        None => DEFAULT_CORES,
        Some(cores) if (1..=MAX_CORES as u64).contains(&cores) => cores as usize,
        Some(cores) => return Err(invalid(EMULATED_CORES, cores.to_string(), expected)),
    };
    // Documented: the list wins over the number, and 0 is all.
    if let Some(list) = variables(VISIBLE_CORES) {
        let expected =
            || format!("increasing numbers and ranges without a gap, such as `0`, `0-1` or `0,1`, up to {}", cores - 1);
        let range = Selection::parse(&list, cores).ok_or_else(|| invalid(VISIBLE_CORES, list, expected()))?;
        return Ok((cores, range));
    }
    let expected = format!("0, for all, or a number up to {cores}, the NeuronCores there are ({EMULATED_CORES})");
    match number(variables, NUM_CORES, &expected)? {
        None | Some(0) => Ok((cores, Selection::These(0..cores))),
        Some(count) if count <= cores as u64 => Ok((cores, Selection::Any(count as usize))),
        Some(count) => Err(invalid(NUM_CORES, count.to_string(), expected)),
    }
}

/// What `nrt_load` reads: the documentation has these two set for a model.
#[derive(Debug, PartialEq)]
pub(crate) struct ModelSettings {
    /// How long an execution may take; any time when 0 is set, which is our assumption.
    pub(crate) timeout: Option<Duration>,
    /// Whether a NEFF has to be what its hash says.
    pub(crate) validate_hash: bool,
}

impl ModelSettings {
    /// Reads them.
    pub(crate) fn read(variables: Variables) -> Result<Self, Error> {
        let timeout = match number(variables, EXEC_TIMEOUT, "a number of seconds")? {
            None => Some(DEFAULT_TIMEOUT),
            Some(0) => None,
            Some(seconds) => Some(Duration::from_secs(seconds)),
        };
        let validate_hash = match variables(VALIDATE_HASH).map(|value| value.to_ascii_lowercase()).as_deref() {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(value) => return Err(invalid(VALIDATE_HASH, value.into(), "true or false")),
        };
        Ok(Self { timeout, validate_hash })
    }
}

/// Whether there is room for what kernels print. Without, or with a size that the device does not take, it is lost there.
fn has_stdout_queue(variables: Variables) -> bool {
    let Some(value) = variables(STDOUT_QUEUE) else { return false };
    let is_good = value.parse().is_ok_and(|bytes: u64| bytes.is_power_of_two() && bytes <= MAX_STDOUT_QUEUE);
    if !is_good {
        let expected = format!("a power of two up to {MAX_STDOUT_QUEUE}: what kernels print is lost");
        crate::log::line(Level::Error, "nrt_init", invalid(STDOUT_QUEUE, value, expected));
    }
    is_good
}

fn number(variables: Variables, name: &'static str, expected: &str) -> Result<Option<u64>, Error> {
    let Some(value) = variables(name) else { return Ok(None) };
    match value.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(invalid(name, value, expected)),
    }
}

fn invalid(variable: &'static str, found: String, expected: impl Into<String>) -> Error {
    Error::Setting { variable, found, expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        let pairs: Vec<(String, String)> = pairs.iter().map(|&(n, v)| (n.into(), v.into())).collect();
        move |name| pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn without_variables_there_is_one_chip_for_this_process_alone() {
        let settings = Settings::read(&with(&[])).unwrap();
        assert_eq!((settings.cores, settings.selection), (2, Selection::These(0..2)));
        assert_eq!((settings.hbm_bytes, settings.mode), (1 << 34, Mode::Checked));
        assert_eq!((settings.level, settings.kernels_print), (Level::Error, false));
    }

    #[test]
    fn the_list_of_cores_wins_over_their_number() {
        let both = with(&[(EMULATED_CORES, "8"), (VISIBLE_CORES, "3-5,6"), (NUM_CORES, "1")]);
        assert_eq!(read_cores(&both).unwrap(), (8, Selection::These(3..7)));
        assert_eq!(read_cores(&with(&[(NUM_CORES, "1")])).unwrap(), (2, Selection::Any(1)));
        assert_eq!(read_cores(&with(&[(NUM_CORES, "0")])).unwrap(), (2, Selection::These(0..2)));
    }

    #[test]
    fn a_message_names_variable_value_and_what_is_expected() {
        let message = |name, value| Settings::read(&with(&[(name, value)])).unwrap_err().to_string();
        assert_eq!(
            message(NUM_CORES, "3"),
            "NEURON_RT_NUM_CORES is `3`, expected 0, for all, or a number up to 2, the NeuronCores there are \
             (GPSIMD_EMULATED_CORES)"
        );
        assert_eq!(message(EMULATED_CORES, "33"), "GPSIMD_EMULATED_CORES is `33`, expected a number from 1 to 32");
        assert_eq!(message(EMULATED_MODE, "slow"), "GPSIMD_EMULATED_MODE is `slow`, expected checked or fast");
        assert_eq!(message(EMULATED_HBM, "16G"), "GPSIMD_EMULATED_HBM_BYTES is `16G`, expected a number of bytes");
        assert_eq!(
            message(LOG_LEVEL, "loud"),
            "NEURON_RT_LOG_LEVEL is `loud`, expected QUIET, ERROR, WARN, INFO, DEBUG or TRACE"
        );
    }

    #[test]
    fn kernels_print_at_info_with_a_queue_of_a_power_of_two() {
        let prints =
            |level, bytes| Settings::read(&with(&[(LOG_LEVEL, level), (STDOUT_QUEUE, bytes)])).unwrap().kernels_print;
        assert!(prints("INFO", "131072"));
        assert!(prints("debug", "1"));
        assert!(!prints("WARN", "131072"));
        assert!(!prints("INFO", "262144"));
        assert!(!prints("INFO", "1000"));
        assert!(!prints("INFO", "0"));
    }

    #[test]
    fn a_model_has_thirty_seconds_unless_said_otherwise() {
        let read = |pairs: &[(&str, &str)]| ModelSettings::read(&with(pairs));
        let default = ModelSettings { timeout: Some(Duration::from_secs(30)), validate_hash: false };
        assert_eq!(read(&[]).unwrap(), default);
        assert_eq!(read(&[(EXEC_TIMEOUT, "0")]).unwrap().timeout, None);
        assert_eq!(read(&[(EXEC_TIMEOUT, "7")]).unwrap().timeout, Some(Duration::from_secs(7)));
        assert!(read(&[(VALIDATE_HASH, "TRUE")]).unwrap().validate_hash);
        assert!(read(&[(EXEC_TIMEOUT, "-1")]).is_err());
        assert!(read(&[(VALIDATE_HASH, "yes")]).is_err());
    }
}
