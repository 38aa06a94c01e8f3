//! The tables of statuses in the book: every status of the header is in one, every test that they name exists.

use std::path::Path;

/// Statuses of a kind that a table has in one row.
const HARDWARE: &str = "NRT_EXEC_HW_ERR_";

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The part of the book with the tables.
fn tables() -> String {
    let book = read("../../docs/src/reference/emulated-runtime.md");
    let (_, tables) = book.split_once("## Every status").unwrap();
    tables.split("\n## ").next().unwrap().to_owned()
}

#[test]
fn every_status_of_the_header_is_in_the_tables() {
    let (tables, header) = (tables(), read("../nrt/include/nrt/nrt_status.h"));
    let statuses: Vec<_> = header.lines().filter_map(|line| line.trim().split_once(" = ")).collect();
    assert_eq!(statuses.len(), 28);
    for (status, _) in statuses {
        let name = if status.starts_with(HARDWARE) { format!("`{HARDWARE}*`") } else { format!("`{status}`") };
        assert!(tables.contains(&name), "{name} is in no table");
    }
}

/// Functions that a header of ours declares.
fn declared(header: &str) -> Vec<String> {
    let text = read(&format!("../nrt/include/nrt/{header}"));
    let name = |part: &str| {
        let start = part.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        part[start..].to_owned()
    };
    let code: String = text.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code)).collect();
    let names = code.match_indices('(').map(|(at, _)| name(&code[..at]));
    names.filter(|name| name.starts_with("nrt_")).collect()
}

#[test]
fn every_function_of_the_headers_is_on_the_page_and_nothing_else_is_said_to_be_there() {
    let page = read("../../docs/src/reference/nrt-functions.md");
    let (there, not_there) = page.split_once("## Not there").unwrap();
    let headers = ["nrt.h", "nrt_experimental.h", "nrt_profile.h", "nrt_status.h", "nrt_version.h"];
    let declared: std::collections::BTreeSet<_> = headers.into_iter().flat_map(declared).collect();
    let rows = there.lines().filter(|line| line.starts_with("| `nrt_"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let named: std::collections::BTreeSet<_> =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    assert_eq!(declared, named);
    assert_eq!(declared.len(), 54);
    for name in declared {
        assert!(!not_there.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn every_test_that_the_tables_name_exists() {
    let files = ["tests/runtime/cases.rs", "tests/runtime/processes.rs", "src/c/mod.rs"];
    let sources = files.map(read).concat();
    let is_test =
        |name: &str| sources.lines().any(|line| line.trim() == name || line.trim() == format!("fn {name}() {{"));
    let mut named = 0;
    for row in tables().lines().filter(|line| line.starts_with("| ")) {
        let Some(tests) = row.split(" | ").nth(2) else { continue };
        for name in tests.split('`').skip(1).step_by(2) {
            assert!(is_test(name), "{name} is no test");
            named += 1;
        }
    }
    assert!(named > 25, "{named}");
}
