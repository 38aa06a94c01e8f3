//! [`Launch`]: what an op is launched on.

use crate::scalar::Scalar;
use crate::tensor::{TensorView, TensorViewMut};

/// What an op is launched on.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The tensor operands in the descriptor's order. For [`crate::Engine::launch_in_place`], all but the replaced ones.
    pub tensors: &'a [TensorView<'a>],
    /// Scalars and sizes in the descriptor's order.
    pub scalars: &'a [Scalar],
    /// Where the results go, in the descriptor's order: of the types that [`crate::Op::shape`] says. For
    /// [`crate::Engine::launch_in_place`], the operands to replace stand for the outputs that replace them.
    pub outputs: Vec<TensorViewMut<'a>>,
}
