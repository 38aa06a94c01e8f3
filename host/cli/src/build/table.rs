//! The table of what was built: one row per op.

use std::fs;

use super::Results;
use crate::process::shown_path;
use crate::table::{lines, table};

/// Prints the table and where everything is.
pub(super) fn print(results: &Results) {
    let manifest = &results.built.manifest;
    println!("op library {} {}: {} ops", manifest.library, manifest.version, manifest.ops.len());
    println!(
        "TCM of a core: {} of {} bytes ({} stack, {} tile buffers, the rest constants)",
        manifest.tcm, manifest.tcm_limit, manifest.stack, manifest.tile_buffers
    );
    println!();
    let mut table = table(&["op", "stack", "C++ lines", "code bytes", "hot loops vectorised"], 1);
    for (op, measured) in manifest.ops.iter().zip(&results.built.ops) {
        let stack = op.stack.map_or("?".into(), |bytes| bytes.to_string());
        let vectorized = measured.vectorized.map_or("?".into(), |count| count.to_string());
        let loops = format!("{vectorized} of {}", measured.hot_loops);
        table.add_row([op.name.clone(), stack, op.lines.to_string(), measured.code_bytes.to_string(), loops]);
    }
    print!("{}", lines(&table));
    println!();
    if results.built.ops.iter().any(|op| op.vectorized.is_none()) {
        println!("({} does not say which loops became vectors; Clang does)", results.built.compiler);
    }
    for (what, path) in [("native", &results.native), ("image", &results.image), ("package", &results.package)] {
        let size = fs::metadata(path).map_or(0, |found| found.len().div_ceil(1024));
        println!("{what:8} {} ({size} KiB)", shown_path(path));
    }
    println!("{:8} {}: build.py builds it on a Trn1 or Inf2 host", "sources", shown_path(&results.folder));
}
