//! What a build that failed says: its log, read for the reasons that are known.

use std::fmt;
use std::path::Path;

use gpsimd_codegen::SourceMap;

/// Compiler errors that are told; one mistake brings many.
const MOST_ERRORS: usize = 5;
/// Lines of the end of a log that are shown when no reason is known.
const LAST_LINES: usize = 10;

/// An error of the device's compiler, or of the host's for shape functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompilerError {
    /// `bert_ops.cpp:1203:7`
    pub place: String,
    /// What the compiler says.
    pub message: String,
    /// Ops that run the function.
    pub ops: Vec<String>,
    /// The Rust function that the line comes from.
    pub function: Option<String>,
}

impl fmt::Display for CompilerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ops[..] {
            [] => {}
            [op] => write!(f, "op `{op}`")?,
            ops => write!(f, "ops {}", ops.iter().map(|op| format!("`{op}`")).collect::<Vec<_>>().join(", "))?,
        }
        if let Some(function) = &self.function {
            let comma = if self.ops.is_empty() { "" } else { ", " };
            write!(f, "{comma}Rust function `{function}`")?;
        } else if self.ops.is_empty() {
            f.write_str("in what every op shares")?;
        }
        write!(f, ": {}: {}", self.place, self.message)
    }
}

/// Why a build failed.
pub(super) enum Diagnosis {
    /// A source does not compile.
    Compiler(Vec<CompilerError>),
    /// The device's compiler got no licence.
    Licence(String),
    /// Python has no such module.
    NoModule(String),
    /// Something else: the end of the log.
    Unknown(String),
}

/// Reads the log of a build of the package with that map.
pub(super) fn diagnose(log: &str, map: &SourceMap) -> Diagnosis {
    // Without a licence nothing compiles, and the compiler's driver may call that an error of the source.
    if let Some(line) = log.lines().find(|line| is_about_a_licence(line)) {
        return Diagnosis::Licence(line.trim().to_owned());
    }
    let errors = compiler_errors(log, map);
    if !errors.is_empty() {
        return Diagnosis::Compiler(errors);
    }
    if let Some(module) = log.lines().find_map(missing_module) {
        return Diagnosis::NoModule(module.to_owned());
    }
    let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    Diagnosis::Unknown(lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"))
}

/// A message of the `FlexNet` licence manager that the Xtensa tools use, by its words; a commented licence text has none of
/// them.
fn is_about_a_licence(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let is_about = ["license", "licence", "flexnet", "flexlm"].iter().any(|word| line.contains(word));
    let is_trouble = ["error", "fail", "cannot", "could not", "no such feature", "expired", "denied", "unable"];
    is_about && is_trouble.iter().any(|word| line.contains(word))
}

fn compiler_errors(log: &str, map: &SourceMap) -> Vec<CompilerError> {
    let mut errors: Vec<CompilerError> = Vec::new();
    for line in log.lines() {
        let Some((file, at, column, message)) = parse(line) else { continue };
        let name = Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let function = map.at(&name, at);
        let error = CompilerError {
            place: format!("{name}:{at}:{column}"),
            message: message.to_owned(),
            ops: function.map_or_else(Vec::new, |function| function.ops.clone()),
            function: function.and_then(|function| function.rust.clone()),
        };
        // Every core's build says the same.
        if errors.len() < MOST_ERRORS && !errors.contains(&error) {
            errors.push(error);
        }
    }
    errors
}

/// `file:line:column: error: message`, as Clang and GCC print it.
fn parse(line: &str) -> Option<(&str, usize, usize, &str)> {
    let (place, message) =
        ["fatal error: ", "error: "].iter().find_map(|kind| line.split_once(&format!(": {kind}")))?;
    let mut parts = place.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let at = parts.next()?.parse().ok()?;
    Some((parts.next()?, at, column, message))
}

/// `ModuleNotFoundError: No module named 'torch_neuronx'`
fn missing_module(line: &str) -> Option<&str> {
    line.trim().strip_prefix("ModuleNotFoundError: No module named '")?.split('\'').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_from_paths_with_colons() {
        let line = "/a:b/bert_ops.cpp:12:34: error: use of undeclared identifier 'x': y";
        assert_eq!(parse(line), Some(("/a:b/bert_ops.cpp", 12, 34, "use of undeclared identifier 'x': y")));
        assert_eq!(parse("bert_ops.cpp:12:34: warning: unused"), None);
        assert_eq!(parse("xt-clang++: error: no input files"), None);
    }

    #[test]
    fn words_of_the_licence_manager_are_known_from_others() {
        assert!(is_about_a_licence("License checkout failed: XTENSA_ncore2gp"));
        assert!(is_about_a_licence("FlexNet Licensing error:-97,121"));
        assert!(!is_about_a_licence("Licensed under the Apache License, Version 2.0"));
    }
}
