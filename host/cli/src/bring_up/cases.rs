//! The step that compares results: every case of every library, with the bits of the native tier.

use std::path::Path;
use std::time::Instant;

use super::case::{self, Case};
use super::comparison::compare;
use super::kept::{Kept, key};
use super::launches;
use super::libraries::Built;
use super::progress::Progress;
use super::report::{Accuracy, CaseResult, Outcome};
use super::session::{Session, Setting, share};
use crate::causes;

/// What is compared.
pub(super) struct Cases<'a> {
    pub(super) setting: &'a Setting<'a>,
    /// Folder of golden files.
    pub(super) golden: Option<&'a Path>,
    /// The ops that are meant; all if there are none.
    pub(super) ops: &'a [String],
    pub(super) seed: u64,
    /// When no other case is begun.
    pub(super) end: Option<Instant>,
    /// What else results depend on: versions.
    pub(super) fingerprint: &'a str,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) cases: Vec<CaseResult>,
    /// What failed of libraries as a whole.
    pub(super) failures: Vec<String>,
    /// Versions that processes stated.
    pub(super) versions: Vec<(String, String)>,
}

impl Cases<'_> {
    /// Compares all cases of the libraries.
    pub(super) fn run(&self, libraries: &[Built], kept: &mut Kept) -> anyhow::Result<Compared> {
        let mut compared = Compared::default();
        for (index, library) in libraries.iter().enumerate() {
            let is_chosen = |op: &str| self.ops.is_empty() || self.ops.iter().any(|name| name == op);
            let (cases, without) = match case::all(&library.native, self.golden, is_chosen, self.seed) {
                Ok(found) => found,
                Err(error) => {
                    compared.failures.push(format!("{}: {}", library.name, causes(&error)));
                    continue;
                }
            };
            compared.cases.extend(without.into_iter().map(|op| CaseResult {
                library: library.name.clone(),
                op: op.op,
                case: String::new(),
                operands: String::new(),
                outcome: Outcome::NotTried { why: op.why },
                accuracy: None,
            }));
            let progress = Progress::new(&format!("cases of {}", library.name), cases.len());
            let mut session = Session::new(self.setting, library, share(self.end, libraries.len() - index));
            for case in &cases {
                progress.next(&format!("{} {}", case.op.name(), case.name));
                compared.cases.push(self.compare(library, case, &mut session, kept)?);
            }
            progress.done();
            compared.failures.extend(session.given_up.take().map(|why| format!("{}: {why}", library.name)));
            if !session.versions.is_empty() {
                compared.versions = std::mem::take(&mut session.versions);
            }
        }
        Ok(compared)
    }

    fn compare(
        &self,
        library: &Built,
        case: &Case,
        session: &mut Session<'_>,
        kept: &mut Kept,
    ) -> anyhow::Result<CaseResult> {
        let key = key(&["case", &library.digest, &case.name, &case.digest(), self.fingerprint]);
        if let Some(result) = kept.get(&key) {
            return Ok(result);
        }
        let (outcome, accuracy) = match session.closed() {
            Some(why) => (Outcome::NotTried { why }, None),
            None => launch(library, case, session),
        };
        let result = CaseResult {
            library: library.name.clone(),
            op: case.op.name().into(),
            case: case.name.clone(),
            operands: case.shown(),
            outcome,
            accuracy,
        };
        // What failed is tried again: something may have been mended.
        if matches!(result.outcome, Outcome::Equal { .. }) {
            kept.put(&key, &result)?;
        }
        Ok(result)
    }
}

fn launch(library: &Built, case: &Case, session: &mut Session<'_>) -> (Outcome, Option<Accuracy>) {
    let expected = match case.expected() {
        Ok(expected) => expected,
        // Operands that were drawn may be none that the kernel takes: that an index is out of range, say.
        Err(error) if case.golden.is_none() => return (Outcome::NotTried { why: causes(&error) }, None),
        Err(error) => return (Outcome::Failed { error: causes(&error) }, None),
    };
    let mut on_device = |launch: &launches::Launch<'_>| session.launch(launch);
    let found = launches::run(&library.native, &case.op, &case.operands, &mut on_device);
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let stopped = session.closed().filter(|why| why == super::session::STOPPED);
            let outcome = stopped.map_or(Outcome::Failed { error: causes(&error) }, |why| Outcome::NotTried { why });
            return (outcome, None);
        }
    };
    let names: Vec<&str> = case.op.outputs().iter().map(|output| output.name.as_str()).collect();
    let golden = case.golden.as_ref().filter(|golden| golden.is_rounded());
    let accuracy = golden.map(|golden| Accuracy { native: golden.error_of(&expected), found: golden.error_of(&found) });
    (compare(&names, &expected, &found), accuracy)
}
