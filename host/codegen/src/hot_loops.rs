//! Which hot loops of a package are vectorised, by what Clang says about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cpp::{Definition, HotLines};

/// A loop that the generator marks as hot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HotLoop {
    /// C++ name of the function that it is in.
    pub function: String,
    /// Its first line, from 1.
    pub first: usize,
    /// Its last line.
    pub last: usize,
    /// Elements of a vector of what it computes with: 16 of 32 bits, 32 of 16, 64 of 8.
    pub lanes: usize,
    /// Elements that it handles at a time; none if it is not vectorised.
    pub width: Option<usize>,
}

impl HotLoop {
    /// Whether it is vectorised, in whole vectors.
    pub fn is_vectorized(&self) -> bool {
        self.width.is_some_and(|width| width >= self.lanes)
    }
}

/// The hot loops of the functions of a package's kernels, with what the remarks of `clang++ -Rpass=loop-vectorize` say.
pub fn hot_loops(functions: &[Definition], remarks: &str) -> Vec<HotLoop> {
    let widths: BTreeMap<usize, usize> = remarks.lines().filter_map(vectorized).collect();
    let of = |function: &Definition| {
        let hot = |hot: &HotLines| {
            let (first, last) = (*hot.lines.start(), *hot.lines.end());
            // Remarks name the first line of a loop, or that of its condition.
            let width = widths.get(&first).or_else(|| widths.get(&last)).copied();
            HotLoop { function: function.function.clone(), first, last, lanes: hot.lanes, width }
        };
        function.hot_loops.iter().map(hot).collect::<Vec<_>>()
    };
    functions.iter().flat_map(of).collect()
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
        let function = Definition {
            function: "f".into(),
            rust: None,
            lines: 1..=8,
            hot_loops: [2..=4, 5..=7].map(|lines| HotLines { lines, lanes: 16 }).to_vec(),
        };
        let remarks = "k.cpp:4:5: remark: vectorized loop (vectorization width: 16, interleaved count: 1) [-Rpass]\n";
        let loops = hot_loops(&[function], remarks);
        let found: Vec<_> =
            loops.iter().map(|found| (&*found.function, found.first, found.last, found.width)).collect();
        assert_eq!(found, [("f", 2, 4, Some(16)), ("f", 5, 7, None)]);
    }

    #[test]
    fn a_loop_is_vectorised_from_whole_vectors_on() {
        for (width, expected) in
            [(None, false), (Some(2), false), (Some(15), false), (Some(16), true), (Some(32), true)]
        {
            let hot = HotLoop { function: "f".into(), first: 1, last: 2, lanes: 16, width };
            assert_eq!(hot.is_vectorized(), expected, "{width:?}");
        }
    }
}
