//! Which NeuronCores a process gets: [`Selection`], and the [`Reservation`] that keeps other processes off them.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The NeuronCores that a process wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// These.
    These(Range<usize>),
    /// So many, wherever they are free, one beside the other.
    Any(usize),
}

impl Selection {
    /// Reads a list of numbers and ranges, such as `0,2-3`. By the documentation it has to increase without a gap.
    pub(crate) fn parse(list: &str, cores: usize) -> Option<Self> {
        let mut all: Option<Range<usize>> = None;
        for part in list.split(',') {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let (low, high): (usize, usize) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
            let follows = all.as_ref().is_none_or(|before| before.end == low);
            if !follows || high < low || high >= cores {
                return None;
            }
            all = Some(all.map_or(low, |before| before.start)..high + 1);
        }
        all.map(Self::These)
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::These(range) => range.len(),
            Self::Any(count) => *count,
        }
    }
}

/// NeuronCores that belong to this process until it ends or drops this: every one has a locked file.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// The first, counted over all of the host's.
    pub(crate) first: usize,
    /// A lock for every core from there on.
    pub(crate) locks: Vec<File>,
}

impl Reservation {
    /// Reserves what `selection` asks for among `cores`.
    pub(crate) fn new(selection: &Selection, cores: usize, folder: Option<&Path>) -> Result<Self, Error> {
        let folder = folder.map_or_else(user_folder, Path::to_path_buf);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| Error::Lock { path: folder.clone(), source })?;
        let in_use = |wanted| Error::CoresInUse { wanted, folder: folder.clone() };
        match selection {
            Selection::These(range) => match lock_all(&folder, range.clone())? {
                Ok(locks) => Ok(Self { first: range.start, locks }),
                Err(core) => Err(in_use(format!("NeuronCore {core} is"))),
            },
            Selection::Any(count) => {
                for first in 0..=cores - count {
                    if let Ok(locks) = lock_all(&folder, first..first + count)? {
                        return Ok(Self { first, locks });
                    }
                }
                Err(in_use(format!("{count} of {cores} NeuronCores are wanted, and too many of them are")))
            }
        }
    }
}

/// Locks the files of `cores`; the inner error is the first core that another process has.
fn lock_all(folder: &Path, cores: Range<usize>) -> Result<Result<Vec<File>, usize>, Error> {
    let mut locks = Vec::with_capacity(cores.len());
    for core in cores {
        let path = folder.join(format!("neuron-core-{core}.lock"));
        let failed = |source| Error::Lock { path: path.clone(), source };
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => locks.push(file),
            Err(TryLockError::WouldBlock) => return Ok(Err(core)),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
    Ok(Ok(locks))
}

/// One folder for every user, so that nobody needs to write to another's files.
fn user_folder() -> PathBuf {
    let user = std::fs::metadata("/proc/self").map_or(0, |process| process.uid());
    std::env::temp_dir().join(format!("gpsimd-emulated-neuron-{user}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_without_a_gap_are_understood() {
        for (list, range) in [("0", 0..1), ("3", 3..4), ("0-3", 0..4), ("1,2,3", 1..4), ("0-1, 2", 0..3)] {
            assert_eq!(Selection::parse(list, 4), Some(Selection::These(range)), "{list}");
        }
    }

    #[test]
    fn other_lists_are_refused() {
        for list in ["", "4", "0-4", "2-1", "0,2", "1,0", "0,0", "a", "0-", "-1", "0;1", "0,", "1-2-3"] {
            assert_eq!(Selection::parse(list, 4), None, "{list}");
        }
    }

    #[test]
    fn a_core_is_reserved_once_and_free_again_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = |selection| Reservation::new(&selection, 3, Some(folder.path()));
        let middle = reserve(Selection::These(1..2)).unwrap();
        let error = reserve(Selection::These(0..3)).unwrap_err();
        assert!(error.to_string().starts_with("NeuronCore 1 is in use by another process"), "{error}");
        assert!(reserve(Selection::Any(2)).is_err());
        assert_eq!(reserve(Selection::Any(1)).unwrap().first, 0);
        drop(middle);
        assert_eq!(reserve(Selection::Any(2)).unwrap().first, 0);
    }
}
