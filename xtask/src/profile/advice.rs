//! What to do about an op, by its numbers.

use super::measured::Measured;
use super::table::percent;

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
    if op.balance() < 0.9 {
        return format!(
            "the slowest core takes {:.2}x the mean: share the work in smaller granules",
            1.0 / op.balance()
        );
    }
    let again = op.bytes() as f64 / op.least_bytes as f64;
    if again > 1.1 {
        return format!("it moves {again:.2}x the least bytes: keep what is used again in TCM, or make fewer passes");
    }
    if op.missed_loops > 0 {
        return format!(
            "{} of its hot loops became no vectors: `cargo xtask build-kernels --json` has their lines",
            op.missed_loops
        );
    }
    if latency > compute.max(bandwidth) {
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
