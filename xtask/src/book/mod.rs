//! README, book, and the other pages: what they name is there.

mod commands;
mod links;

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace;

/// Every page of the checkout: in the root and below these folders, but for what is a template, made or fetched.
fn pages() -> Vec<PathBuf> {
    let root = workspace::root();
    let mut pages: Vec<_> = entries(root).into_iter().filter(|path| is_page(path)).collect();
    for folder in [".github", "docs", "host", "kernels", "tests"] {
        collect(&root.join(folder), &mut pages);
    }
    pages.sort();
    assert!(pages.len() > 30, "{} pages", pages.len());
    pages
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    let left_out = ["target", "template", "node_modules", ".pytest_cache", ".venv", "book"];
    for path in entries(folder) {
        if is_page(&path) {
            pages.push(path);
        } else if path.is_dir() && !left_out.iter().any(|name| path.ends_with(name)) {
            collect(&path, pages);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry of a folder").path()).collect()
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

fn read(page: &Path) -> String {
    fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}
