//! Ops of one f32 operation each: what every kernel's bits come down to.
#![no_std]

use gpsimd::prelude::*;

fn like_a(a: &TensorType, b: &TensorType, c: &TensorType) -> Result<TensorType, ShapeError> {
    b.expect_shape_of(a)?;
    c.expect_shape_of(a)?;
    Ok(*a)
}

/// y = f(a, b, c), element by element.
#[inline(always)]
fn each<T: Float>(
    core: &Core,
    [a, b, c]: [Input<f32>; 3],
    mut y: Output<T>,
    f: impl Fn(f32, f32, f32) -> T,
) -> OpResult {
    for range in core.share(a.len(), LANES).chunks(core.tcm().tile_len::<f32>(4)) {
        let load = |x: &Input<f32>| core.tcm().load(x, range.clone());
        let (a, b, c) = (load(&a)?, load(&b)?, load(&c)?);
        let mut y = core.tcm().stage(&mut y, range)?;
        for (((y, a), b), c) in y.iter_mut().zip(&*a).zip(&*b).zip(&*c) {
            *y = f(*a, *b, *c);
        }
        y.store()?;
    }
    Ok(())
}

macro_rules! ops {
    ($($name:ident = |$a:ident, $b:ident, $c:ident| $value:expr;)*) => {$(
        #[doc = concat!("y = ", stringify!($value), ".")]
        #[custom_op(shape = like_a)]
        pub fn $name(core: &Core, a: Input<f32>, b: Input<f32>, c: Input<f32>, y: Output<f32>) -> OpResult {
            each(core, [a, b, c], y, |$a, $b, $c| $value)
        }
    )*};
}

ops! {
    multiply_add = |a, b, c| math::fma(a, b, c);
    square_root = |a, _b, _c| math::sqrt(a);
    sum = |a, b, _c| a + b;
    product = |a, b, _c| a * b;
    quotient = |a, b, _c| a / b;
    select = |a, b, c| if a < b { c } else { a };
    to_integer_and_back = |a, b, _c| a as i32 as f32 + b as u32 as f32;
    through_bf16 = |a, _b, _c| bf16::from_f32(a).to_f32();
}

op_library! {
    name: "float_ops",
    ops: [
        multiply_add,
        square_root,
        sum,
        product,
        quotient,
        select,
        to_integer_and_back,
        through_bf16,
    ],
}
