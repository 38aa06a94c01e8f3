//! The vendor's limits, each with the page of the Neuron documentation that states it. What no page states, but the
//! vendor's tools were found to require, is marked as observed.

/// Bytes of a core's TCM that a custom op may allocate from (`custom-ops-ref-guide`).
pub const TCM_POOL_BYTES: usize = 16 * 1024;

/// Bytes of a core's data RAM, which is all of its TCM (`trainium_inferentia2_arch`).
pub const TCM_BYTES: usize = 64 * 1024;

/// Ops of one library (`custom-ops-ref-guide`).
pub const MAX_OPS: usize = 10;

/// Characters of a function's name. Observed: the vendor's tools refuse longer ones.
pub const MAX_NAME: usize = 31;

/// The name that no library can have: the vendor's runtime keeps it for itself (`custom-ops-ref-guide`).
pub const RESERVED_LIBRARY: &str = "builtin";

/// Cores of one GPSIMD engine.
pub const CORES: usize = 8;

/// Largest size of a dimension where a tensor has up to 8 of them (`custom-ops-ref-guide`).
pub const MAX_DIM: usize = 65_535;

/// Largest size of a dimension where a tensor has up to [`MAX_LARGE_DIMS`] of them (`custom-ops-ref-guide`).
pub const MAX_LARGE_DIM: u64 = 4_294_967_295;

/// The most dimensions of a tensor with one larger than [`MAX_DIM`].
pub const MAX_LARGE_DIMS: usize = 4;
