//! [`FlushToZero`]: what a program may have set for its own arithmetic, as `torch.set_flush_denormal(True)` does.

/// Makes this thread flush denormal numbers to zero until it is dropped.
///
/// Nothing may depend on floats that this crate computes in between: launches only.
pub(crate) struct FlushToZero {
    before: control::Word,
}

impl FlushToZero {
    pub(crate) fn set() -> Self {
        let before = control::read();
        control::write(before | control::FLUSH);
        Self { before }
    }
}

impl Drop for FlushToZero {
    fn drop(&mut self) {
        control::write(self.before);
    }
}

#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    /// MXCSR.
    pub(super) type Word = u32;

    /// Flush to zero, and denormals are zero.
    pub(super) const FLUSH: Word = 0x8040;

    pub(super) fn read() -> Word {
        let mut word = 0;
        // SAFETY: writes MXCSR to `word`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
        word
    }

    pub(super) fn write(word: Word) {
        // SAFETY: `word` was read from MXCSR, with two bits more: both are modes of every x86-64.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack, preserves_flags)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    /// FPCR.
    pub(super) type Word = u64;

    /// Flush to zero.
    pub(super) const FLUSH: Word = 1 << 24;

    pub(super) fn read() -> Word {
        let word;
        // SAFETY: reads a register that every program may read.
        unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) };
        word
    }

    pub(super) fn write(word: Word) {
        // SAFETY: `word` was read from FPCR, with one bit more.
        unsafe { asm!("msr fpcr, {}", in(reg) word, options(nomem, nostack, preserves_flags)) };
    }
}

/// Another CPU: nothing is set.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub(super) type Word = u32;

    pub(super) const FLUSH: Word = 0;

    pub(super) const fn read() -> Word {
        0
    }

    pub(super) const fn write(_: Word) {}
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn denormals_are_zero_as_long_as_it_lives() {
        let quotient = || (black_box(1e-38_f32) / black_box(100.0)).to_bits();
        let flush = FlushToZero::set();
        let flushed = quotient();
        drop(flush);
        assert_eq!(flushed, 0);
        assert_ne!(quotient(), 0);
    }
}
