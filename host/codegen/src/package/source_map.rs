//! [`SourceMap`]: from a line of a package's sources back to the Rust function and the ops that run it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cpp::Definition;

/// The functions of a package's sources: `source_map.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceMap {
    /// By the name of the file, in the order of its lines.
    pub sources: BTreeMap<String, Vec<SourceFunction>>,
}

/// A C++ function of a package's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFunction {
    /// Its first and last line, counted from 1.
    pub lines: (usize, usize),
    /// The Rust path, of one that comes from a function.
    pub rust: Option<String>,
    /// Ops that run it.
    pub ops: Vec<String>,
}

impl SourceMap {
    /// Adds a source; `ops` says which run a function of that name in C++.
    pub(super) fn add(&mut self, file: String, definitions: &[Definition], ops: impl Fn(&str) -> Vec<String>) {
        let functions = definitions.iter().map(|definition| SourceFunction {
            lines: (*definition.lines.start(), *definition.lines.end()),
            rust: definition.rust.clone(),
            ops: ops(&definition.function),
        });
        self.sources.insert(file, functions.collect());
    }

    /// The function that a line of a file is in; none of what is the same in every package.
    pub fn at(&self, file: &str, line: usize) -> Option<&SourceFunction> {
        let contains = |function: &&SourceFunction| (function.lines.0..=function.lines.1).contains(&line);
        self.sources.get(file)?.iter().find(contains)
    }
}
