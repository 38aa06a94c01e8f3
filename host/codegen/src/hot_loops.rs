//! Which hot loops of a package became vectors, by what Clang says about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Elements of a 512-bit vector of f32: what a hot loop should handle at a time.
pub const LANES: usize = 16;

/// A loop that the generator marks as hot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HotLoop {
    /// C++ name of the function that it is in.
    pub function: String,
    /// Its first line, from 1.
    pub first: usize,
    /// Its last line.
    pub last: usize,
    /// Elements that it handles at a time; none if it is not vectorised.
    pub width: Option<usize>,
}

/// The hot loops of `source`, the kernels of a package, with what the remarks of `clang++ -Rpass=loop-vectorize` say.
pub fn hot_loops(source: &str, remarks: &str) -> Vec<HotLoop> {
    let widths: BTreeMap<usize, usize> = remarks.lines().filter_map(vectorized).collect();
    let lines: Vec<&str> = source.lines().collect();
    let mut function = "";
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with("static ") && line.ends_with('{') {
            function = line.split('(').next().and_then(|head| head.split(' ').next_back()).unwrap_or("");
        }
        if !line.ends_with("{  // hot") {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let closes = |line: &&str| line.len() - line.trim_start().len() == indent && line.trim_start().starts_with('}');
        let last = lines[at + 1..].iter().position(closes).map_or(at, |offset| at + 1 + offset);
        // Remarks name the first line of a loop, or that of its condition.
        let width = widths.get(&(at + 1)).or_else(|| widths.get(&(last + 1))).copied();
        found.push(HotLoop { function: function.into(), first: at + 1, last: last + 1, width });
    }
    found
}

/// Line and width of a remark: `FILE:LINE:COLUMN: remark: vectorized loop (vectorization width: 16, ...`.
fn vectorized(remark: &str) -> Option<(usize, usize)> {
    let (place, what) = remark.split_once(": remark: vectorized loop (vectorization width: ")?;
    let line = place.rsplit(':').nth(1)?.parse().ok()?;
    let width = what.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((line, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_belongs_to_the_loop_of_its_line() {
        let source =
            "static void f(int) {\n  do {  // hot\n    a;\n  } while (1);\n  do {  // hot\n    b;\n  } while (2);\n}\n";
        let remarks = "k.cpp:4:5: remark: vectorized loop (vectorization width: 16, interleaved count: 1) [-Rpass]\n";
        let loops = hot_loops(source, remarks);
        let found: Vec<_> =
            loops.iter().map(|found| (&*found.function, found.first, found.last, found.width)).collect();
        assert_eq!(found, [("f", 2, 4, Some(16)), ("f", 5, 7, None)]);
    }
}
