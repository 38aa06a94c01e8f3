//! [`Operations`]: what the cores of a launch compute, counted by kind, for the cost model.
//!
//! A library that counts is an op package that was emitted with counters (`Package::counting` of `gpsimd-codegen`): it
//! exports [`SYMBOL`] beside its entry point. The C declaration is `operations.hpp` there; the snapshots of counted
//! launches name every field, so that one out of place shows.

use serde::{Deserialize, Serialize};

/// Name of the C symbol of a library that counts, of type [`OperationsOf`].
pub(crate) const SYMBOL: &str = "gpsimd_operations_of_core";

/// Type of [`SYMBOL`]: the counters of the core that runs on the calling thread.
pub(crate) type OperationsOf = unsafe extern "C" fn() -> *mut Operations;

/// What a core computes, as the instructions of its kernel image.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// One at a time.
    pub scalar: OperationCounts,
    /// In vectorised loops: each is one of the elements of a vector.
    pub vector: OperationCounts,
}

/// Operations by kind.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationCounts {
    /// Additions, subtractions, multiplications, conversions and the like of floats.
    pub float: u64,
    /// Fused multiply-adds.
    pub fma: u64,
    /// Divisions and square roots of floats.
    pub divide: u64,
    /// Arithmetic of integers; addresses and counters of loops, too.
    pub integer: u64,
    /// Comparisons, selections, minima and maxima.
    pub compare: u64,
    /// Loads and stores in TCM.
    pub memory: u64,
    /// Branches, calls and returns.
    pub branch: u64,
}

impl OperationCounts {
    /// Of all kinds.
    pub const fn total(&self) -> u64 {
        self.float + self.fma + self.divide + self.integer + self.compare + self.memory + self.branch
    }

    fn combine(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            float: f(self.float, other.float),
            fma: f(self.fma, other.fma),
            divide: f(self.divide, other.divide),
            integer: f(self.integer, other.integer),
            compare: f(self.compare, other.compare),
            memory: f(self.memory, other.memory),
            branch: f(self.branch, other.branch),
        }
    }
}

impl std::ops::Add for OperationCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.combine(other, |a, b| a + b)
    }
}

/// What was counted since `other`.
impl std::ops::Sub for OperationCounts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.combine(other, |a, b| a - b)
    }
}

impl std::ops::Add for Operations {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { scalar: self.scalar + other.scalar, vector: self.vector + other.vector }
    }
}

/// What was counted since `other`.
impl std::ops::Sub for Operations {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { scalar: self.scalar - other.scalar, vector: self.vector - other.vector }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_counted_added_and_taken_off_by_itself() {
        let counts = OperationCounts {
            float: 1,
            fma: 10,
            divide: 100,
            integer: 1_000,
            compare: 10_000,
            memory: 100_000,
            branch: 1_000_000,
        };
        assert_eq!(counts.total(), 1_111_111);
        let more = Operations { scalar: counts, vector: counts + counts };
        assert_eq!((more.vector.total(), more.vector.float, more.vector.branch), (2_222_222, 2, 2_000_000));
        let sum = more + Operations { scalar: OperationCounts { fma: 5, ..counts }, vector: counts };
        assert_eq!((sum.scalar.total(), sum.vector.total()), (2_222_217, 3_333_333));
        assert_eq!(sum - more, Operations { scalar: OperationCounts { fma: 5, ..counts }, vector: counts });
    }
}
