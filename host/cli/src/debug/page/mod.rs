//! The page of a recorded launch: one HTML file that asks for nothing else.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gpsimd_emulator::{Event, RecordedStep, Recording};
use serde::Serialize;

use super::index::Index;

const TEMPLATE: &str = include_str!("launch.html");
const STYLES: &str = include_str!("launch.css");
/// In the order in which they run.
const SCRIPTS: [&str; 5] = [
    include_str!("model.js"),
    include_str!("timeline.js"),
    include_str!("contents.js"),
    include_str!("writers.js"),
    include_str!("main.js"),
];
/// Where in the template styles, data and scripts go.
const MARKS: [&str; 3] = ["/* styles */", "{\"data\":\"of the launch\"}", "/* scripts */"];

/// Bytes of a core's DMAs that the page has: from the beginning and from the end of the core's part, half each. The folder has
/// more.
const DATA: usize = 1 << 20;

#[derive(Serialize)]
struct Page<'a> {
    index: &'a Index,
    data: Vec<Data>,
}

/// The elements of the DMAs of a core.
#[derive(Serialize)]
struct Data {
    /// Where in the bytes those of every step start; nothing of one whose data are not here.
    at: Vec<Option<usize>>,
    /// Base64.
    bytes: String,
}

/// The page.
pub(super) fn render(index: &Index, recordings: &[Recording]) -> anyhow::Result<String> {
    let cores = recordings.first().map_or(0, |recording| recording.cores.len());
    let page = Page { index, data: (0..cores).map(|core| Data::of(recordings, core, DATA)).collect() };
    // In a script element, nothing but `<` could be taken for the end of it.
    let json = serde_json::to_string(&page)?.replace('<', "\\u003c");
    Ok(page_with(&json))
}

fn page_with(json: &str) -> String {
    let scripts = SCRIPTS.join("\n");
    let mut page = String::new();
    let mut rest = TEMPLATE;
    for (mark, content) in MARKS.into_iter().zip([STYLES, json, &scripts]) {
        let (before, after) = rest.split_once(mark).expect("the template has each mark");
        page.extend([before, content]);
        rest = after;
    }
    page + rest
}

impl Data {
    /// Of `limit` bytes at most.
    fn of(recordings: &[Recording], core: usize, limit: usize) -> Self {
        let steps: Vec<_> = recordings.iter().flat_map(|recording| &recording.cores[core].steps).collect();
        let sizes: Vec<_> = steps.iter().map(|step| data(step).map(<[u8]>::len)).collect();
        let (mut at, mut bytes) = (Vec::new(), Vec::new());
        for (step, is_kept) in steps.iter().zip(kept(&sizes, limit)) {
            at.push(is_kept.then_some(bytes.len()));
            bytes.extend_from_slice(data(step).filter(|_| is_kept).unwrap_or_default());
        }
        Self { at, bytes: BASE64_STANDARD.encode(bytes) }
    }
}

fn data(step: &RecordedStep) -> Option<&[u8]> {
    match &step.event {
        Event::Dma { data, .. } => data.as_deref(),
        _ => None,
    }
}

/// Which of these are kept: all if they fit, otherwise the first and the last, up to half of the limit each.
fn kept(sizes: &[Option<usize>], limit: usize) -> Vec<bool> {
    let fits = |mut left: usize| {
        move |size: &Option<usize>| {
            let size = size.unwrap_or(0);
            left = if size <= left { left - size } else { return None };
            Some(())
        }
    };
    let all: usize = sizes.iter().flatten().sum();
    let half = if all <= limit { limit } else { limit / 2 };
    let first = sizes.iter().map_while(fits(half)).count();
    let last = sizes[first..].iter().rev().map_while(fits(limit - half)).count();
    let is_kept =
        |(index, size): (usize, &Option<usize>)| size.is_some() && !(first..sizes.len() - last).contains(&index);
    sizes.iter().enumerate().map(is_kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_much_data_the_page_has_the_first_and_the_last() {
        let sizes = [Some(4), None, Some(4), Some(4), Some(4), None, Some(4)];
        assert_eq!(kept(&sizes, 20), [true, false, true, true, true, false, true]);
        assert_eq!(kept(&sizes, 19), [true, false, true, false, true, false, true]);
        assert_eq!(kept(&sizes, 8), [true, false, false, false, false, false, true]);
        assert_eq!(kept(&sizes, 0), [false; 7]);
        assert_eq!(kept(&[], 8), [false; 0]);
    }

    #[test]
    fn the_page_asks_for_nothing_else() {
        // Elements of SVG are named by their namespace.
        let page = page_with("{}").replace("http://www.w3.org/2000/svg", "");
        for asks in ["http:", "https:", "src=", "url(", "@import", "fetch(", "<link"] {
            assert!(!page.contains(asks), "{asks}");
        }
    }
}
