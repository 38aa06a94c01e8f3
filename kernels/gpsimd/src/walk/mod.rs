//! The tile walk: a kernel says what it computes, the SDK cuts the tensors into tiles that fit in TCM and walks them.
//!
//! | call | for |
//! |---|---|
//! | [`Core::map`] | outputs whose every element follows from the elements beside it: activations, an optimizer's update |
//! | [`Core::rows`] | outputs whose rows follow from whole rows: softmax, normalisation |
//! | [`Core::reduce`] | outputs with an element for every row: a sum, a maximum, a loss |
//! | [`Core::fold_rows`], [`Core::combine`] | outputs with an element for every column, in two phases: the gradient of a bias |
//!
//! The first two walk the shape of the output, the others that of their first operand. Operands are broadcast against it
//! as PyTorch does, aligned at the last dimension: a bias `[H]` meets every row of `[.., H]` and is loaded once, a mask
//! `[B, 1, 1, K]` meets the rows of its batch.
//! [`Input::rows_at`](crate::Input::rows_at) and [`Input::narrow`](crate::Input::narrow) make operands whose rows lie
//! apart, each a DMA of its own; [`Core::random_bits`] is one of no tensor. [`Core::scatter_rows`] is no walk of the output but of indices.
//! Every core takes a share; tiles are as large as TCM allows; empty tensors, rows longer than TCM, remainders and
//! fewer rows than cores need no thought. By construction every element of the output is written once, by one core,
//! from elements that were loaded, and the bits depend neither on the number of cores nor on the size of the pool.
//!
//! An operand that has the position and the dtype of an output shares its TCM: of `core.map((&x, &bias), y, ..)`, `x` is
//! loaded to where `y` is computed and stored from. If it is broadcast, its row is there for each row of a tile, so that
//! what is broadcast is better named after what is not.
//!
//! # Why the `unsafe` code here is sound
//!
//! The walk reads and writes through pointers, element by element, and makes no slices: an operand may lie where an
//! output does. An area is in TCM of the walk's own, or in tensors that are known to have it, rows that lie apart one by
//! one; indices are in memory that nothing writes from when they are verified until the last row is read; elements of the output
//! are written where they are only after this core has claimed them. Every element is read before it is written. `cargo
//! xtask miri` interprets the ops of `bert_ops` on a host, in both modes (`tests/spanning/tests/miri.rs`): broadcast
//! and not, rows that fit in TCM and that do not, several outputs, in place and not; and rows that lie apart
//! (`tests/spanning/tests/miri_indexed_dma.rs`).

mod apart;
mod block;
mod broadcast;
mod destination;
mod fold_rows;
mod gather;
mod layout;
mod map;
mod narrow;
mod operands;
mod outputs;
mod plan;
mod random_bits;
mod reduce;
mod results;
mod row;
mod rows;
mod scatter;
mod source;

pub use self::block::{PerRow, RowBlock, WrittenBlock};
pub use self::gather::Gather;
pub use self::narrow::Narrowed;
pub use self::operands::{Operand, Operands};
pub use self::outputs::Outputs;
pub use self::random_bits::RandomBits;
pub use self::row::{Kept, Row, Written};
pub use self::rows::Rows;
