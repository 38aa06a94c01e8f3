//! Operators that sample: categories by weights, tokens by logits, boxes by scores, images at points.
//!
//! Random numbers are functions of a seed and of an element's index, so that draws are the same however many cores there
//! are.
#![no_std]

mod grid_sample;
mod multinomial;
mod nms;
mod race;
mod seed;
mod top_p;

pub use grid_sample::{grid_sample, grid_sample_grid, grid_sample_input};
pub use multinomial::{multinomial, multinomial_draws};
pub use nms::nms;
pub use race::race;
pub use top_p::top_p;

gpsimd::op_library! {
    name: "sampling_ops",
    // The rest of the pool is what messages take.
    tcm: 10240,
    ops: [
        multinomial::multinomial,
        multinomial::multinomial_draws,
        race::race,
        top_p::top_p,
        nms::nms,
        grid_sample::grid_sample,
        grid_sample::grid_sample_grid,
        grid_sample::grid_sample_input,
    ],
}
