//! [`Seen`]: which launches of an op have passed a check, for emulation mode `auto`.

use std::collections::HashSet;
use std::sync::RwLock;

use gpsimd_emulator::{Mode, TensorType};

use crate::engines::Emulation;

/// Types of the tensors of a launch, in the op's order and the outputs last; its sizes; whether it is in place.
pub(crate) type Signature = (Vec<TensorType>, Vec<usize>, bool);

/// Signatures kept per op, of some 300 bytes each. A program with more is one whose shapes hardly repeat.
const LIMIT: usize = 4096;

/// The signatures of an op whose launch has been checked and found right.
///
/// Nobody waits for the lock: in a process forked from a thread beside the one that holds it, it stays locked. What cannot
/// be looked up is checked again.
#[derive(Default)]
pub(crate) struct Seen {
    signatures: RwLock<HashSet<Signature>>,
}

/// How a launch is to be run.
pub(crate) struct Choice<'a> {
    /// In which mode.
    pub(crate) mode: Mode,
    /// What to remember, and where, when it has passed.
    unseen: Option<(&'a Seen, Signature)>,
}

impl Seen {
    /// How to run a launch of this signature now.
    pub(crate) fn choose(&self, signature: impl FnOnce() -> Signature) -> Choice<'_> {
        match Emulation::current() {
            Emulation::Checked => return Choice { mode: Mode::Checked, unseen: None },
            Emulation::Fast => return Choice { mode: Mode::Fast, unseen: None },
            Emulation::Auto => {}
        }
        let signature = signature();
        if self.signatures.try_read().is_ok_and(|signatures| signatures.contains(&signature)) {
            Choice { mode: Mode::Fast, unseen: None }
        } else {
            Choice { mode: Mode::Checked, unseen: Some((self, signature)) }
        }
    }
}

impl Choice<'_> {
    /// The launch has passed: in mode `auto`, the next one of its signature is fast.
    pub(crate) fn passed(self) {
        let Some((seen, signature)) = self.unseen else { return };
        let Ok(mut signatures) = seen.signatures.try_write() else { return };
        // A set that is full starts anew: its launches are checked once more.
        if signatures.len() >= LIMIT {
            signatures.clear();
        }
        signatures.insert(signature);
    }
}
