//! The two operations that a core's float unit has and `core` lacks: fused multiply-add and square root.
//!
//! On a host they are `std`'s, which round once as IEEE 754 says, with or without the instruction. In a kernel image
//! they are imports of the device API, which the code generator prints as `__builtin_fmaf` and `__builtin_sqrtf`.

/// `a * b + c`, rounded once.
#[cfg(not(any(target_arch = "wasm32", target_os = "none")))]
#[inline(always)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

/// The square root, correctly rounded; NaN below zero.
#[cfg(not(any(target_arch = "wasm32", target_os = "none")))]
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    x.sqrt()
}

#[cfg(any(target_arch = "wasm32", target_os = "none"))]
mod import {
    #[cfg_attr(target_arch = "wasm32", link(wasm_import_module = "gpsimd"))]
    unsafe extern "C" {
        pub(super) safe fn fma(a: f32, b: f32, c: f32) -> f32;
        pub(super) safe fn sqrt(x: f32) -> f32;
    }
}

/// `a * b + c`, rounded once.
#[cfg(any(target_arch = "wasm32", target_os = "none"))]
#[inline(always)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    import::fma(a, b, c)
}

/// The square root, correctly rounded; NaN below zero.
#[cfg(any(target_arch = "wasm32", target_os = "none"))]
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    import::sqrt(x)
}
