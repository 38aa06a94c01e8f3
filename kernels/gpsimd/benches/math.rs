//! Nanoseconds an element of every function of `gpsimd::math`, and of random numbers, in a loop over 16 KiB:
//!
//! ```text
//! RUSTFLAGS="-C target-cpu=native" cargo bench -p gpsimd
//! python kernels/gpsimd/benches/sleef.py            the same of PyTorch, whose functions are sleef's
//! ```

use std::hint::black_box;
use std::time::Instant;

use gpsimd::math;
use gpsimd::random::{Philox, bernoulli, threshold};

const LEN: usize = 4096;

/// The least time of some hundred runs, and prints it.
fn measure(name: &str, mut f: impl FnMut()) {
    const RUNS: u32 = 100;
    let time = (0..200).map(|_| {
        let start = Instant::now();
        (0..RUNS).for_each(|_| f());
        start.elapsed()
    });
    let nanoseconds = time.min().unwrap_or_default().as_nanos() as f64 / f64::from(RUNS);
    println!("{name:16} {:.3}", nanoseconds / LEN as f64);
}

macro_rules! measure {
    ($($function:ident from $low:literal to $high:literal,)*) => {$({
        let x: Vec<f32> = (0..LEN).map(|i| $low + ($high - $low) * ((i * 1597 % LEN) as f32 / LEN as f32)).collect();
        let mut y = vec![0.0; LEN];
        measure(stringify!($function), || {
            for (y, x) in y.iter_mut().zip(black_box(&x)) {
                *y = math::$function(*x);
            }
            black_box(&mut y);
        });
    })*};
}

fn main() {
    println!("{:16} ns an element", "");
    measure! {
        exp from -10.0 to 10.0,
        exp2 from -10.0 to 10.0,
        expm1 from -2.0 to 2.0,
        log from 0.01 to 100.0,
        log2 from 0.01 to 100.0,
        log1p from -0.9 to 10.0,
        sigmoid from -10.0 to 10.0,
        sin from -100.0 to 100.0,
        cos from -100.0 to 100.0,
        tanh from -5.0 to 5.0,
        erf from -3.0 to 3.0,
        rsqrt from 0.01 to 100.0,
        gelu from -5.0 to 5.0,
        gelu_derivative from -5.0 to 5.0,
    }
    let x: Vec<f32> = (0..LEN).map(|i| 0.01 + (i * 1597 % LEN) as f32 / 64.0).collect();
    let mut y = vec![0.0; LEN];
    measure("pow", || {
        for (y, x) in y.iter_mut().zip(black_box(&x)) {
            *y = math::pow(*x, 2.5);
        }
        black_box(&mut y);
    });
    let keep = threshold(0.9);
    measure("dropout", || {
        Philox::new(1).update(0, &mut y, |y, bits| if bernoulli(bits, keep) { y / 0.9 } else { 0.0 });
        black_box(&mut y);
    });
    measure("normal", || {
        Philox::new(1).fill_normal(0, &mut y);
        black_box(&mut y);
    });
}
