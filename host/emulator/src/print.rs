//! What kernels print: gathered line by line on each core, shown after the launch in the order of the cores.

use std::fmt;
use std::sync::Arc;

use crate::report::PrintedLine;

/// Where the lines go that kernels print.
#[derive(Clone, Default)]
pub enum PrintSink {
    /// Standard error.
    #[default]
    Stderr,
    /// A function that is called with every line, such as `[bias_gelu_forward core 3] text`.
    Function(Arc<dyn Fn(&str) + Send + Sync>),
}

impl PrintSink {
    pub(crate) fn emit(&self, op: &str, lines: &[PrintedLine]) {
        for PrintedLine { core, text } in lines {
            match self {
                Self::Stderr => eprintln!("[{op} core {core}] {text}"),
                Self::Function(function) => function(&format!("[{op} core {core}] {text}")),
            }
        }
    }
}

impl fmt::Debug for PrintSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stderr => "Stderr",
            Self::Function(_) => "Function",
        })
    }
}

/// The lines of one core.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    core: u32,
    line: String,
    lines: Vec<PrintedLine>,
}

impl Printer {
    pub(crate) fn new(core: u32) -> Self {
        Self { core, ..Self::default() }
    }

    /// Adds text, which may hold ends of lines.
    pub(crate) fn text(&mut self, text: &str) {
        let mut parts = text.split('\n');
        self.line.push_str(parts.next().unwrap_or_default());
        for part in parts {
            self.end_line();
            self.line.push_str(part);
        }
    }

    /// Adds a float: as few digits as tell it from its neighbours, among f32 if it is one.
    pub(crate) fn float(&mut self, value: f64) {
        let single = value as f32;
        if f64::from(single) == value {
            self.text(&single.to_string());
        } else {
            self.text(&value.to_string());
        }
    }

    /// All lines; one without an end counts.
    pub(crate) fn finish(mut self) -> Vec<PrintedLine> {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.lines
    }

    fn end_line(&mut self) {
        self.lines.push(PrintedLine { core: self.core, text: std::mem::take(&mut self.line) });
    }
}
