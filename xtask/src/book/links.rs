//! Links between pages: the file is there, and so is the heading. mdBook itself is run by the workflow in .github: as a library
//! it would add half of the dependencies again.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{pages, read};
use crate::python::application;
use crate::workspace;

/// How a page of the book, which is published without the rest of the checkout, links to that.
const REPOSITORY: &str = "https://github.com/gpsimd/gpsimd/blob/main/";

fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES)
}

/// The targets of all links and images.
fn links(text: &str) -> Vec<String> {
    // What looks like a link and has no definition is text; the callback would see every `[x]` of a sentence.
    let links = parser(text).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.into_string()),
        _ => None,
    });
    links.collect()
}

/// The anchors that mdBook and GitHub give to headings.
fn anchors(text: &str) -> HashSet<String> {
    let (mut anchors, mut seen) = (HashSet::new(), HashMap::<String, u32>::new());
    let mut heading: Option<String> = None;
    for event in parser(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(words) | Event::Code(words) => heading.iter_mut().for_each(|heading| heading.push_str(&words)),
            Event::End(TagEnd::Heading(_)) => {
                let anchor = anchor(&heading.take().unwrap_or_default());
                let count = seen.entry(anchor.clone()).or_default();
                anchors.insert(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
                *count += 1;
            }
            _ => {}
        }
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let letters = heading.trim().to_lowercase().replace(' ', "-");
    letters.chars().filter(|c| c.is_alphanumeric() || ['-', '_'].contains(c)).collect()
}

/// Why a link of a page leads nowhere.
fn broken(page: &Path, text: &str, link: &str) -> Option<String> {
    let (link, from) = match link.strip_prefix(REPOSITORY) {
        Some(path) => (path, workspace::root()),
        None if link.contains("://") || link.starts_with("mailto:") => return None,
        None => (link, page.parent().expect("a page is in a folder")),
    };
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { page.to_path_buf() } else { normal(&from.join(path)) };
    // The SDK's pages stay as they are where the application has been deleted.
    if application().is_none() && target.starts_with(workspace::root().join("host/bert")) {
        return None;
    }
    if !target.exists() {
        return Some(format!("there is no {}", target.display()));
    }
    let book = workspace::root().join("docs/src");
    if page.starts_with(&book) && !target.starts_with(&book) && from != workspace::root() {
        return Some(format!("the book is published without {}: link to {REPOSITORY}..", target.display()));
    }
    let anchor = anchor?;
    let anchors = if path.is_empty() { anchors(text) } else { anchors(&read(&target)) };
    (!anchors.contains(anchor)).then(|| format!("{} has no heading of the anchor #{anchor}", target.display()))
}

/// Without `..`, whether the file exists or not.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                normal.pop();
            }
            std::path::Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let mut count = 0;
    let mut reasons = Vec::new();
    for page in pages() {
        let text = read(&page);
        for link in links(&text) {
            count += 1;
            reasons.extend(broken(&page, &text, &link).map(|reason| format!("{}: {link}: {reason}", page.display())));
        }
    }
    assert!(reasons.is_empty(), "{}", reasons.join("\n"));
    assert!(count > 100, "{count} links");
}

#[test]
fn every_page_of_the_book_is_in_its_summary_once() {
    let book = workspace::root().join("docs/src");
    let summary = links(&read(&book.join("SUMMARY.md")));
    let named: HashSet<_> = summary.iter().map(|link| book.join(link)).collect();
    assert_eq!(named.len(), summary.len(), "a page twice in SUMMARY.md");
    for page in pages().into_iter().filter(|page| page.starts_with(&book) && !page.ends_with("SUMMARY.md")) {
        assert!(named.contains(&page), "{} is not in SUMMARY.md", page.display());
    }
}

#[test]
fn what_is_included_in_a_page_is_there() {
    for page in pages() {
        for include in read(&page).split("{{#include ").skip(1) {
            let path = include.split("}}").next().unwrap_or_default().split(':').next().unwrap_or_default();
            assert!(page.with_file_name(path).exists(), "{}: there is no {path}", page.display());
        }
    }
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = workspace::root().join("docs/src/how-to/kernels.md");
    let text = "# A page\n\n## With `code`, twice\n\n## With `code`, twice\n";
    assert_eq!(links("[a](b.md) and `[c](d.md)`\n\n```text\n[e](f.md)\n```\n"), ["b.md"]);
    for link in ["#with-code-twice", "#with-code-twice-1", "../SUMMARY.md", "https://docs.rs"] {
        assert_eq!(broken(&page, text, link), None, "{link}");
    }
    assert_eq!(broken(&page, text, &format!("{REPOSITORY}README.md#gpsimd")), None);
    for link in ["#with-code", "nowhere.md", "../SUMMARY.md#nothing", "../../../README.md"] {
        assert!(broken(&page, text, link).is_some(), "{link}");
    }
}
