//! What to do about an op, by its numbers.

use super::measured::Measured;
use super::table::percent;

/// Bytes from which on a DMA is large: nki-dma-overview.
const LARGE_DMA: u64 = 4096;

fn bytes(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{:.1} KiB", bytes as f64 / 1024.0) }
}

/// A sentence that follows from the numbers: what takes most, and what would change that.
pub(super) fn advice(op: &Measured) -> String {
    let slowest = op.slowest();
    let share = |part: f64| part / slowest.seconds();
    let (latency, bandwidth, compute) = (share(slowest.setup), share(slowest.transfer), share(slowest.compute));
    let (used, all) = (op.tile_bytes_used, op.tile_bytes);
    let kib = |bytes: u64| format!("{:.1} KiB", bytes as f64 / 1024.0);
    if op.bytes() == 0 {
        return "it moves nothing".into();
    }
    if slowest.bytes <= all {
        return "all that a core moves fits in its tile buffers at once: launch the op on more data at a time".into();
    }
    if op.cores.len() > 1 && op.cores.iter().filter(|core| core.seconds() > 0.0).count() == 1 {
        return "one core does all of it: give every core a part (`core.share`, or `get_cpu_id` in C++ without --single-core)".into();
    }
    if op.balance() < 0.9 {
        return format!(
            "the slowest core takes {:.2}x the mean: share the work in smaller granules",
            1.0 / op.balance()
        );
    }
    if let Some(rows) = &op.rows_apart
        && latency > compute.max(bandwidth)
        && 2 * rows.loads > op.transfers()
        && rows.bytes < LARGE_DMA * rows.loads
    {
        return format!(
            "DMA latency is {}: {} DMAs load rows of `{}` that lie apart, {} each on average: make rows longer, or put \
             them in an order in which some follow each other, which come in one DMA",
            percent(latency),
            rows.loads,
            rows.operand,
            bytes(rows.bytes / rows.loads)
        );
    }
    let again = op.bytes() as f64 / op.least_bytes as f64;
    if again > 1.1 {
        return format!("it moves {again:.2}x the least bytes: keep what is used again in TCM, or make fewer passes");
    }
    if op.missed_loops > 0 {
        return format!(
            "{} of its hot loops became no vectors: `cargo gpsimd build --json` has their lines",
            op.missed_loops
        );
    }
    if latency > compute.max(bandwidth) || (op.dma_limit() < 0.9 && latency > 0.2) {
        let room = 1.0 - used as f64 / all as f64;
        let tile = format!(
            "DMA latency is {}: a DMA moves {} on average",
            percent(latency),
            kib(op.bytes_per_transfer() as u64)
        );
        let loaded = op.tile_bytes_loaded;
        return if room > 0.1 {
            format!("{tile}, and {} of {} of tile buffers are used: load larger tiles", kib(used), kib(all))
        } else if loaded as f64 / (used as f64) < 0.9 {
            format!(
                "{tile}, and {} of {} of tile buffers are the output's alone: make the output where an operand was \
                 (`tcm.transform`), and tiles can be larger",
                kib(used - loaded),
                kib(all)
            )
        } else {
            format!("{tile}, and the tile buffers are full: only fewer operands in TCM at the same time would help")
        };
    }
    if compute > bandwidth {
        let (scalar, vector) = (slowest.scalar.total() as f64, slowest.vector.total() as f64 / 16.0);
        let of_compute = scalar / (scalar + vector);
        return if of_compute > 0.5 {
            format!(
                "compute is {}, and {} of that is outside of vectors: make rows longer, or handle several at a time",
                percent(compute),
                percent(of_compute)
            )
        } else {
            format!("compute is {}, in vectors: only fewer operations per element would help", percent(compute))
        };
    }
    format!("DMA bandwidth is {}: it is at the limit of what it moves", percent(bandwidth))
}

#[cfg(test)]
mod tests {
    use gpsimd_emulator::OperationCounts;

    use super::super::measured::{Core, Roof, RowsApart};
    use super::*;

    /// An op with this core 8 times, which moves the least bytes and fills its tile buffers.
    fn op(core: &Core) -> Measured {
        Measured {
            op: "op".into(),
            tensors: Vec::new(),
            cores: vec![core.clone(); 8],
            least_bytes: 8 * core.bytes,
            rows_apart: None,
            tile_bytes_used: 12_288,
            tile_bytes_loaded: 12_288,
            tile_bytes: 12_288,
            missed_loops: 0,
            roof: Roof { intensity: 1.0, attained: 1.0, attainable: 1.0 },
        }
    }

    fn core(setup: f64, transfer: f64, compute: f64) -> Core {
        let vector = OperationCounts { fma: 1600, ..OperationCounts::default() };
        Core { transfers: 10, bytes: 40_960, scalar: OperationCounts::default(), vector, setup, transfer, compute }
    }

    #[test]
    fn waiting_for_dmas_with_room_for_larger_tiles() {
        let op = Measured { tile_bytes_used: 4096, tile_bytes_loaded: 4096, ..op(&core(71.0, 20.0, 9.0)) };
        insta::assert_snapshot!(advice(&op), @"DMA latency is 71%: a DMA moves 4.0 KiB on average, and 4.0 KiB of 12.0 KiB of tile buffers are used: load larger tiles");
    }

    #[test]
    fn waiting_for_dmas_with_room_that_only_the_output_has() {
        let op = Measured { tile_bytes_loaded: 6144, ..op(&core(71.0, 20.0, 9.0)) };
        insta::assert_snapshot!(advice(&op), @"DMA latency is 71%: a DMA moves 4.0 KiB on average, and 6.0 KiB of 12.0 KiB of tile buffers are the output's alone: make the output where an operand was (`tcm.transform`), and tiles can be larger");
    }

    #[test]
    fn computing_while_the_output_takes_the_room_of_larger_tiles() {
        let op = Measured { tile_bytes_loaded: 6144, ..op(&core(33.0, 22.0, 45.0)) };
        insta::assert_snapshot!(advice(&op), @"DMA latency is 33%: a DMA moves 4.0 KiB on average, and 6.0 KiB of 12.0 KiB of tile buffers are the output's alone: make the output where an operand was (`tcm.transform`), and tiles can be larger");
    }

    #[test]
    fn waiting_for_dmas_without_room() {
        insta::assert_snapshot!(advice(&op(&core(71.0, 20.0, 9.0))), @"DMA latency is 71%: a DMA moves 4.0 KiB on average, and the tile buffers are full: only fewer operands in TCM at the same time would help");
    }

    #[test]
    fn waiting_for_rows_that_lie_apart() {
        let rows = |bytes: u64| Some(RowsApart { operand: "table".into(), loads: 60, bytes: 60 * bytes });
        let op = Measured { rows_apart: rows(64), ..op(&core(71.0, 20.0, 9.0)) };
        insta::assert_snapshot!(advice(&op), @"DMA latency is 71%: 60 DMAs load rows of `table` that lie apart, 64 bytes each on average: make rows longer, or put them in an order in which some follow each other, which come in one DMA");
        let long = Measured { rows_apart: rows(3072), ..op.clone() };
        assert!(advice(&long).contains("3.0 KiB each"), "{}", advice(&long));
        let large = Measured { rows_apart: rows(4096), ..op };
        assert!(!advice(&large).contains("apart"), "{}", advice(&large));
    }

    #[test]
    fn moving_bytes() {
        insta::assert_snapshot!(advice(&op(&core(20.0, 71.0, 9.0))), @"DMA bandwidth is 71%: it is at the limit of what it moves");
    }

    #[test]
    fn moving_bytes_twice() {
        let op = op(&core(20.0, 71.0, 9.0));
        let op = Measured { least_bytes: op.bytes() / 2, ..op };
        insta::assert_snapshot!(advice(&op), @"it moves 2.00x the least bytes: keep what is used again in TCM, or make fewer passes");
    }

    #[test]
    fn computing_in_vectors() {
        insta::assert_snapshot!(advice(&op(&core(10.0, 10.0, 80.0))), @"compute is 80%, in vectors: only fewer operations per element would help");
    }

    #[test]
    fn computing_outside_of_vectors() {
        let scalar = OperationCounts { integer: 300, ..OperationCounts::default() };
        let op = op(&Core { scalar, ..core(10.0, 10.0, 80.0) });
        insta::assert_snapshot!(advice(&op), @"compute is 80%, and 75% of that is outside of vectors: make rows longer, or handle several at a time");
    }

    #[test]
    fn hot_loops_that_became_no_vectors() {
        let op = Measured { missed_loops: 2, ..op(&core(10.0, 10.0, 80.0)) };
        insta::assert_snapshot!(advice(&op), @"2 of its hot loops became no vectors: `cargo gpsimd build --json` has their lines");
    }

    #[test]
    fn cores_that_wait_for_one() {
        let mut op = op(&core(10.0, 10.0, 80.0));
        op.cores[3].compute = 500.0;
        insta::assert_snapshot!(advice(&op), @"the slowest core takes 3.41x the mean: share the work in smaller granules");
    }

    #[test]
    fn too_little_data() {
        let op = op(&Core { bytes: 12_288, ..core(71.0, 20.0, 9.0) });
        insta::assert_snapshot!(advice(&op), @"all that a core moves fits in its tile buffers at once: launch the op on more data at a time");
    }

    #[test]
    fn nothing_to_move() {
        let op = op(&Core { bytes: 0, ..core(0.0, 0.0, 1.0) });
        insta::assert_snapshot!(advice(&op), @"it moves nothing");
    }
}
