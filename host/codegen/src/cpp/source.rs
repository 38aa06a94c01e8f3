//! [`Source`]: C++ text that knows which line it is at.

use std::fmt;

/// A text that grows at its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    text: String,
    /// Whole lines so far.
    lines: usize,
}

impl Source {
    pub(crate) fn append(&mut self, text: &str) {
        self.text += text;
        self.lines += text.bytes().filter(|byte| *byte == b'\n').count();
    }

    /// Appends a source. Returns how many lines are before it.
    pub(crate) fn append_source(&mut self, source: &Self) -> usize {
        let before = self.lines;
        self.text += &source.text;
        self.lines += source.lines;
        before
    }

    /// The number of the line that comes, from 1.
    pub(crate) const fn next_line(&self) -> usize {
        self.lines + 1
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

impl fmt::Write for Source {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.append(text);
        Ok(())
    }
}
