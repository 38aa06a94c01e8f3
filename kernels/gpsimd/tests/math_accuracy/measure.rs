//! Errors in ulps of a function: the largest over a sample, and over every f32.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// One function of `gpsimd::math` with what it is measured against.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// Applies it to a slice, the loop that kernels vectorise.
    pub(crate) apply: fn(&mut [f32]),
    pub(crate) reference: fn(f64) -> f64,
    /// The inputs it is specified for; NaN always is.
    pub(crate) domain: fn(f32) -> bool,
    /// What its documentation promises, in ulps.
    pub(crate) bound: f64,
    /// Inputs around which every neighbour is tested.
    pub(crate) delicate: &'static [f32],
}

/// The distance between the f32 numbers around `reference`.
fn ulp(reference: f64) -> f64 {
    let exponent = ((reference as f32).to_bits() >> 23 & 0xff).clamp(1, 254);
    f64::from_bits(u64::from(exponent + 1023 - 127 - 23) << 52)
}

/// How far `value` is from `reference` in ulps: infinite where only one of them is NaN, or overflows.
pub(crate) fn error(value: f32, reference: f64) -> f64 {
    let rounded = reference as f32;
    if value.is_nan() || rounded.is_nan() {
        return if value.is_nan() && rounded.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if value.is_infinite() || rounded.is_infinite() {
        return if value == rounded { 0.0 } else { f64::INFINITY };
    }
    (f64::from(value) - reference).abs() / ulp(reference)
}

/// The largest error seen, and where.
#[derive(Clone, Copy, Default)]
pub(crate) struct Worst {
    pub(crate) error: f64,
    pub(crate) input: f32,
}

impl Worst {
    fn or(self, other: Self) -> Self {
        if other.error > self.error { other } else { self }
    }
}

impl Function {
    fn worst_of(&self, inputs: impl Iterator<Item = f32>) -> Worst {
        let mut worst = Worst::default();
        let mut inputs = inputs.filter(|x| x.is_nan() || (self.domain)(*x)).peekable();
        while inputs.peek().is_some() {
            let x: Vec<f32> = inputs.by_ref().take(4096).collect();
            let mut y = x.clone();
            (self.apply)(&mut y);
            for (&input, &value) in x.iter().zip(&y) {
                worst = worst.or(Worst { error: error(value, (self.reference)(f64::from(input))), input });
            }
        }
        worst
    }

    fn worst_of_sample(&self) -> Worst {
        // The second sample is of the numbers from 2^-12 to 16 with either sign: there the formulas are at work.
        let everywhere = (0..=u32::MAX).step_by(4099);
        let usual = (0x3980_0000..0x4180_0000).step_by(251).flat_map(|bits| [bits, bits | 0x8000_0000]);
        let delicate =
            self.delicate.iter().chain(&[0.0, -0.0, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, f32::MAX, f32::MIN]);
        let around = delicate.flat_map(|x| (0..=4000).map(move |i| x.to_bits().wrapping_add(i).wrapping_sub(2000)));
        self.worst_of(everywhere.chain(usual).chain(around).map(f32::from_bits))
    }

    pub(crate) fn assert_within_bound(&self) {
        let Worst { error, input } = self.worst_of_sample();
        assert!(
            error <= self.bound,
            "{}({input:?}) is wrong by {error:.3} ulps (input 0x{:08x}); documented: {} ulps",
            self.name,
            input.to_bits(),
            self.bound
        );
    }

    /// Every f32, on every processor.
    pub(crate) fn worst_of_all(&self) -> Worst {
        const CHUNKS: u32 = 4096;
        let (next, worst) = (AtomicU32::new(0), Mutex::new(Worst::default()));
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
                scope.spawn(|| {
                    loop {
                        let chunk = next.fetch_add(1, Ordering::Relaxed);
                        if chunk >= CHUNKS {
                            break;
                        }
                        let first = chunk * (u32::MAX / CHUNKS + 1);
                        let inputs = (first..=first + u32::MAX / CHUNKS).map(f32::from_bits);
                        let found = self.worst_of(inputs);
                        let mut worst = worst.lock().unwrap();
                        *worst = worst.or(found);
                        if chunk % 64 == 0 {
                            eprint!("\r{}: {} %  ", self.name, chunk * 100 / CHUNKS);
                            let _ = std::io::stderr().flush();
                        }
                    }
                });
            }
        });
        worst.into_inner().unwrap()
    }
}
