//! [`Launch`]: what an op is launched on.

use crate::tensor::{TensorView, TensorViewMut};

/// What an op is launched on.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The tensor operands in the descriptor's order. For [`crate::Engine::launch_in_place`], all but the replaced one.
    pub tensors: &'a [TensorView<'a>],
    /// The scalar operands in the descriptor's order.
    pub scalars: &'a [f32],
    /// Where the result goes: of the type that [`crate::Engine::shape`] says. For
    /// [`crate::Engine::launch_in_place`], the operand to replace.
    pub output: TensorViewMut<'a>,
}
