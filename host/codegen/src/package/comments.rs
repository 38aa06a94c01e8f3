//! Comments in a package's sources.

use crate::image::Image;

/// The first line of a source.
pub(super) fn heading(image: &Image<'_>, what: &str) -> String {
    let library = &image.descriptor;
    format!(
        "// {what} of op library {} {}, generated from its kernel image by gpsimd-codegen {}. Do not edit.\n",
        library.name,
        library.version,
        env!("CARGO_PKG_VERSION"),
    )
}

/// A doc comment as a C++ comment: no line of it can become code.
pub(super) fn comment(doc: &str) -> String {
    let is_text = |c: char| {
        !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    doc.lines().fold(String::new(), |text, line| {
        let line: String = line.chars().map(|c| if is_text(c) { c } else { ' ' }).collect();
        let line = line.trim_end();
        // A backslash at the end, also written as a trigraph, goes on with the next line.
        let end = if line.ends_with('\\') || line.ends_with("??/") { " ." } else { "" };
        text + format!("// {line}{end}").trim_end() + "\n"
    })
}
