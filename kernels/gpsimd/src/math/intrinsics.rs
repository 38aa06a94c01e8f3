//! The two operations that a core's float unit has and `core` lacks: fused multiply-add and square root.
//!
//! On a host they are `std`'s, which round once as IEEE 754 says, with or without the instruction. In a kernel image
//! they are imports of the device API, which the code generator prints as `__builtin_fmaf` and `__builtin_sqrtf`. The
//! Xtensa of the isa tier has no float unit: there they are `libm`'s, in integers.

/// `a * b + c`, rounded once.
#[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
#[inline(always)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

/// The square root, correctly rounded; NaN below zero.
#[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    x.sqrt()
}

#[cfg(target_arch = "wasm32")]
mod import {
    #[link(wasm_import_module = "gpsimd")]
    unsafe extern "C" {
        pub(super) safe fn fma(a: f32, b: f32, c: f32) -> f32;
        pub(super) safe fn sqrt(x: f32) -> f32;
    }
}

/// `a * b + c`, rounded once.
#[cfg(target_arch = "wasm32")]
#[inline(always)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    import::fma(a, b, c)
}

/// The square root, correctly rounded; NaN below zero.
#[cfg(target_arch = "wasm32")]
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    import::sqrt(x)
}

/// `a * b + c`, rounded once.
#[cfg(target_arch = "xtensa")]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    libm::fmaf(a, b, c)
}

/// The square root, correctly rounded; NaN below zero.
#[cfg(target_arch = "xtensa")]
pub fn sqrt(x: f32) -> f32 {
    libm::sqrtf(x)
}
