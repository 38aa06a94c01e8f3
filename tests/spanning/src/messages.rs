//! [`without_lines`]: messages as snapshots keep them.

/// `message` with `LINE` in place of line and column: where in a fixture a mistake stands moves whenever the fixture is
/// edited, that the message names a place does not.
pub fn without_lines(message: impl std::fmt::Display) -> String {
    let message = message.to_string();
    let mut parts = message.split(".rs:");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let rest = rest.strip_prefix(':').unwrap_or(rest).trim_start_matches(|c: char| c.is_ascii_digit());
        result.push_str(".rs:LINE");
        result.push_str(rest);
    }
    result
}
