//! Two profiles side by side.

use std::fmt::Write as _;

use super::measured::Measured;
use crate::table::{lines, table};

/// One row per op that is in both and was launched on the same tensors; the others are named.
pub(super) fn show(before: &[Measured], after: &[Measured]) -> String {
    let mut table = table(&["op", "before us", "after us", "ratio", "DMAs", "bytes", "compute us"], 1);
    let mut others = Vec::new();
    for op in after {
        let Some(old) = before.iter().find(|old| old.op == op.op && old.tensors == op.tensors) else {
            others.push(op.op.as_str());
            continue;
        };
        let arrow = |from: String, to: String| format!("{from} -> {to}");
        table.add_row([
            op.op.clone(),
            format!("{:.1}", old.seconds() * 1e6),
            format!("{:.1}", op.seconds() * 1e6),
            format!("{:.2}x", op.seconds() / old.seconds()),
            arrow(old.transfers().to_string(), op.transfers().to_string()),
            arrow(old.bytes().to_string(), op.bytes().to_string()),
            arrow(format!("{:.1}", old.slowest().compute * 1e6), format!("{:.1}", op.slowest().compute * 1e6)),
        ]);
    }
    let mut text = lines(&table);
    if !others.is_empty() {
        let _ = writeln!(text, "not in the earlier profile, or there on other tensors: {}", others.join(", "));
    }
    text
}
