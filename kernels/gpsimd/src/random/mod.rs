//! Random numbers by element: Philox4x32-10, a function of a seed, a stream and a counter.
//!
//! There is no state to carry from one number to the next. The number of an element is a function of its index alone, so
//! that it is the same on whichever core, in whichever tile and order it is asked for, forward and backward pass alike
//! (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, SC11).
//!
//! ```
//! use gpsimd::random::{Philox, kept, threshold};
//!
//! // Dropout of a tile that begins at element 1000 of its tensor.
//! let mut tile = [1.0_f32; 300];
//! let keep = threshold(0.9);
//! Philox::new(42).stream(7).update(1000, &mut tile, |x, bits| kept(bits, keep, x / 0.9));
//! ```
//!
//! | function | from 32 random bits |
//! |---|---|
//! | [`uniform`], [`uniform_above_0`] | an f32 of 24 bits from 0 to 1, without the 1 and without the 0 |
//! | [`bernoulli`], [`kept`] | true with a probability, see [`threshold`]; a number with a probability, otherwise 0 |
//! | [`normal`] | from twice 32 bits, two numbers of the normal distribution |

mod distributions;
mod philox;

pub use distributions::{bernoulli, kept, normal, threshold, uniform, uniform_above_0};
pub(crate) use philox::GROUP;
pub use philox::Philox;
