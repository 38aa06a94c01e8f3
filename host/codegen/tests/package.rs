//! Op packages: what is emitted for a small op, that it compiles without a warning, and why an image is refused.

#[path = "package/compiles.rs"]
mod compiles;
#[path = "package/emitted.rs"]
mod emitted;
#[path = "package/images.rs"]
mod images;
#[path = "package/loops.rs"]
mod loops;
#[path = "package/packed.rs"]
mod packed;
#[path = "package/refusals.rs"]
mod refusals;
