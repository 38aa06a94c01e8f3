//! The table of a profile.

use std::fmt::Write as _;

use gpsimd_emulator::OperationCounts;
use gpsimd_emulator::cost::CostModel;

use super::advice::advice;
use super::measured::{Core, Measured, TutorialForm};
use crate::table::{lines, table};

/// One row per op, and below them what they were launched on and what to do about each.
pub(super) fn show(ops: &[Measured], model: &CostModel) -> String {
    let header = [
        "op",
        "device us",
        "latency",
        "bandwidth",
        "compute",
        "tiles",
        "balance",
        "bytes/least",
        "DMA limit",
        "roofline",
        "tutorial",
    ];
    let mut table = table(&header, 1);
    for op in ops {
        let slowest = op.slowest();
        let share = |part: f64| percent(part / slowest.seconds());
        let if_counted = |shown: String| if op.counts_operations() { shown } else { "-".into() };
        table.add_row([
            op.op.clone(),
            format!("{:.1}", op.seconds() * 1e6),
            share(slowest.setup),
            share(slowest.transfer),
            if_counted(share(slowest.compute)),
            percent(op.tile_bytes_used as f64 / op.tile_bytes as f64),
            percent(op.balance()),
            format!("{:.2}", op.bytes() as f64 / op.least_bytes as f64),
            percent(op.dma_limit()),
            if_counted(percent(op.roof.attained / op.roof.attainable)),
            op.in_tutorial_form(TutorialForm::Tiles, model)
                .map_or_else(|| "-".into(), |seconds| format!("{:.1}x", seconds / op.seconds())),
        ]);
    }
    let mut text = lines(&table);
    text += "\nlatency, bandwidth, compute: shares of the slowest core's time; tiles: of the tile buffers, how much DMAs reach;\n\
             balance: mean time of the cores over the slowest's; DMA limit: the time that DMAs would take with no byte moved\n\
             twice and tile buffers full of what is loaded, over what they take; roofline: operations on floats per second over\n\
             the most that there can be for the bytes moved; tutorial: the time of the same operations and bytes in the form of the\n\
             vendor's tutorial (8 cores, TCM buffers of 1024 elements, no vectors), over this one. The times are a model's: nothing\n\
             has run on a Trainium.\n";
    for op in ops {
        let of_cores = |counts: fn(&Core) -> &OperationCounts| {
            op.cores.iter().map(|core| counts(core).total()).sum::<u64>() as f64
        };
        let (scalar, vector) = (of_cores(|core| &core.scalar), of_cores(|core| &core.vector));
        let _ = write!(
            text,
            "\n{}: {}\n  {} DMAs of {:.0} bytes on average; {}\n  {}\n",
            op.op,
            op.tensors.join(", "),
            op.transfers(),
            op.bytes_per_transfer(),
            if op.counts_operations() {
                let in_vectors = 100.0 * vector / (scalar + vector);
                format!("{:.1} million operations, {in_vectors:.0}% of them in vectors", (scalar + vector) / 1e6)
            } else {
                "what it computes is not counted: the time is that of its DMAs, which is the least".into()
            },
            advice(op),
        );
        let [tiles, elements] =
            [TutorialForm::Tiles, TutorialForm::Elements].map(|form| op.in_tutorial_form(form, model));
        let in_words =
            |seconds: Option<f64>, words: &str| seconds.map(|seconds| format!("{words} {:.0} us", seconds * 1e6));
        let tutorial = [
            in_words(tiles, "in tiles of 1024 elements on 8 cores"),
            in_words(elements, "element by element on one core"),
        ];
        if tutorial.iter().any(Option::is_some) {
            let _ = writeln!(
                text,
                "  as in the vendor's tutorial: {}",
                tutorial.into_iter().flatten().collect::<Vec<_>>().join(", ")
            );
        }
    }
    text
}

pub(super) fn percent(part: f64) -> String {
    format!("{:.0}%", 100.0 * part)
}
