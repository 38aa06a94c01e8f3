//! [`FloatEnvironment`]: the floating-point control of a thread while it is a core's.
//!
//! A core rounds to nearest and keeps denormal numbers. What the calling thread has set
//! (`torch.set_flush_denormal(True)`, `fesetround`) would reach kernels that run on it, and compute other bits there
//! than on the threads of a pool.

/// Sets the floating-point environment of a core; puts back what the thread had when dropped.
pub(crate) struct FloatEnvironment {
    before: control::Word,
}

impl FloatEnvironment {
    /// Makes this thread compute as a core.
    #[inline]
    pub(crate) fn of_a_core() -> Self {
        let before = control::read();
        if !control::is_a_cores(before) {
            control::write(control::A_CORES);
        }
        Self { before }
    }
}

impl Drop for FloatEnvironment {
    #[inline]
    fn drop(&mut self) {
        // A write costs more than a look.
        if control::read() != self.before {
            control::write(self.before);
        }
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod control {
    use std::arch::asm;

    /// MXCSR.
    pub(super) type Word = u32;

    /// All exceptions masked, round to nearest, no flush to zero, no denormals-are-zero: what a program starts with.
    pub(super) const A_CORES: Word = 0x1f80;
    /// The exceptions that happened so far.
    const FLAGS: Word = 0x3f;

    #[inline]
    pub(super) fn is_a_cores(word: Word) -> bool {
        word & !FLAGS == A_CORES
    }

    #[inline]
    pub(super) fn read() -> Word {
        let mut word = 0;
        // SAFETY: writes MXCSR to `word`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
        word
    }

    #[inline]
    pub(super) fn write(word: Word) {
        // SAFETY: `word` was read from MXCSR, or is what every program starts with. Between this and the write that
        // puts the old one back a kernel runs, and no code of the caller whose result the compiler could move there.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack, preserves_flags)) };
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
mod control {
    use std::arch::asm;

    /// FPCR.
    pub(super) type Word = u64;

    /// Round to nearest, no flush to zero, no trap: what a program starts with.
    pub(super) const A_CORES: Word = 0;

    #[inline]
    pub(super) fn is_a_cores(word: Word) -> bool {
        word == A_CORES
    }

    #[inline]
    pub(super) fn read() -> Word {
        let word;
        // SAFETY: reads a register that every program may read.
        unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) };
        word
    }

    #[inline]
    pub(super) fn write(word: Word) {
        // SAFETY: `word` was read from FPCR, or is what every program starts with. Between this and the write that puts
        // the old one back a kernel runs, and no code of the caller whose result the compiler could move there.
        unsafe { asm!("msr fpcr, {}", in(reg) word, options(nostack, preserves_flags)) };
    }
}

/// Another CPU, or Miri: there is nothing that a program could have set.
#[cfg(any(not(any(target_arch = "x86_64", target_arch = "aarch64")), miri))]
mod control {
    pub(super) type Word = ();

    pub(super) const A_CORES: Word = ();

    pub(super) const fn is_a_cores((): Word) -> bool {
        true
    }

    pub(super) const fn read() -> Word {}

    pub(super) const fn write((): Word) {}
}
