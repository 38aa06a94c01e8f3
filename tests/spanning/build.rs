//! Lists the pages whose Rust code `src/book.rs` runs: every README of a crate or package, and every page of the book. A page
//! that is new is run without being named.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

#[expect(clippy::unnecessary_debug_formatting, reason = "a path as a string of Rust")]
fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the checkout");
    let mut pages = vec![root.join("README.md"), root.join("host/torch/README.md")];
    let book = root.join("docs/src");
    println!("cargo::rerun-if-changed={}", book.display());
    collect(&book, &mut pages);
    pages.sort();

    let (mut modules, mut paths) = (String::new(), String::new());
    for (number, page) in pages.iter().enumerate() {
        let path = page.strip_prefix(&root).expect("in the checkout");
        // The documentation of an item is all that rustdoc looks for code in.
        writeln!(modules, "#[cfg(doctest)]\n#[doc = include_str!({page:?})]\npub mod {} {{}}", module(path, number))
            .expect("a string");
        writeln!(paths, "    {path:?},").expect("a string");
    }
    let text = format!(
        "{modules}\n/// Every page of which code is run.\n#[cfg(test)]\nconst PAGES: &[&str] = &[\n{paths}];\n"
    );
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("set by cargo"));
    fs::write(out.join("pages.rs"), text).expect("the folder of the build");
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the book") {
        let path = entry.expect("a page").path();
        if path.is_dir() {
            collect(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") && !path.ends_with("SUMMARY.md") {
            pages.push(path);
        }
    }
}

/// A name for messages of rustdoc; the number keeps apart what the letters do not.
fn module(path: &Path, number: usize) -> String {
    let letters: String = path.with_extension("").display().to_string();
    letters.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_lowercase() + &format!("_{number}")
}
