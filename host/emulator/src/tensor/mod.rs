//! Tensors in host memory: their type, views of memory that someone else owns, and an owned tensor.

mod owned;
mod ty;
mod view;

pub use owned::Tensor;
pub use ty::{Element, TensorError, TensorType};
pub use view::{TensorView, TensorViewMut};
