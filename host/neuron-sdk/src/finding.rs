//! [`Finding`]: a line about something that a host needs.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use serde::Serialize;

/// Something that a host needs: whether it is there, and what to do if it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is looked for.
    pub piece: &'static str,
    /// Whether it is there.
    pub state: FindingState,
    /// Its version.
    pub version: Option<String>,
    /// Where it is.
    pub path: Option<PathBuf>,
    /// The package that provides it, if one does.
    pub package: Option<&'static str>,
    /// What is wrong, or what else there is to say.
    pub note: Option<String>,
    /// What puts it right.
    pub fix: Option<String>,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// It is.
    Ok,
    /// It is, but may not work: what the note says rests on an assumption of ours, or concerns part of the work.
    Doubtful,
    /// It is there and does not work.
    Wrong,
    /// It is not there.
    Missing,
}

impl FindingState {
    /// Whether work that needs it can go on.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Ok | Self::Doubtful)
    }
}

impl Finding {
    /// Something that is there.
    pub fn ok(piece: &'static str) -> Self {
        Self { piece, state: FindingState::Ok, version: None, path: None, package: None, note: None, fix: None }
    }

    /// Something that is not there, and what brings it.
    pub fn missing(piece: &'static str, fix: impl Into<String>) -> Self {
        Self { state: FindingState::Missing, fix: Some(fix.into()), ..Self::ok(piece) }
    }

    /// With what is wrong with it and what to do.
    #[must_use]
    pub fn but(self, state: FindingState, note: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state, note: Some(note.into()), fix: Some(fix.into()), ..self }
    }
}

/// Lines of findings, as `cargo gpsimd doctor` prints them.
pub fn table(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.piece.len()).max().unwrap_or(0);
    findings.iter().fold(String::new(), |mut text, finding| {
        for line in format!("{finding:width$}").lines() {
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    })
}

impl fmt::Display for FindingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Doubtful => "check",
            Self::Wrong => "wrong",
            Self::Missing => "missing",
        })
    }
}

/// On lines without a line break at the end; the width is that of the column of pieces.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = f.width().unwrap_or(0);
        let mut said = Vec::new();
        said.extend(self.version.clone());
        said.extend(self.path.as_ref().map(|path| path.display().to_string()));
        if !self.state.is_usable() || said.is_empty() {
            said.extend(self.package.map(|package| format!("(package {package})")));
        }
        write!(f, "{:8} {:width$}  {}", self.state, self.piece, said.join("  "))?;
        let more = [("", &self.note), ("fix: ", &self.fix)];
        for (what, text) in more.into_iter().filter_map(|(what, text)| Some((what, text.as_ref()?))) {
            write!(f, "\n{:8} {:width$}  {what}{text}", "", "")?;
        }
        Ok(())
    }
}
