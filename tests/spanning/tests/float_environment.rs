//! What a thread has set for its own arithmetic does not reach the cores that run on it, and is as it was afterwards.
#![cfg(target_arch = "x86_64")]
#![allow(missing_docs, reason = "a test binary's op library is nobody's interface")]

use std::arch::asm;
use std::time::Duration;

use gpsimd::prelude::*;
use gpsimd_emulator::{Engine, Mode, Op, OpLibrary, Tensor};

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

/// Through denormal numbers, and a division and a sum that have to be rounded.
#[custom_op(shape = like_x)]
pub fn rounds<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(256) {
        let tile = core.tcm().load(&x, range.clone())?;
        let mut stage = core.tcm().stage(&mut y, range)?;
        for (y, x) in stage.iter_mut().zip(&*tile) {
            *y = T::from_f32(x.to_f32() * 1.0e-39 * 1.0e38 + x.to_f32() / 3.0);
        }
        stage.store()?;
    }
    Ok(())
}

/// Ends by a panic.
///
/// # Panics
/// When `x` has elements.
#[custom_op(shape = like_x)]
pub fn panics<T: Float>(_core: &Core, x: Input<T>, _y: Output<T>) -> OpResult {
    assert!(x.is_empty(), "{} elements", x.len());
    Ok(())
}

/// Does not end.
#[custom_op(shape = like_x)]
pub fn loops<T: Float>(core: &Core, x: Input<T>, _y: Output<T>) -> OpResult {
    while std::hint::black_box(core.id()) < 8 {}
    core.tcm().load(&x, ..)?;
    Ok(())
}

op_library! {
    name: "float_environment",
    ops: [rounds, panics, loops],
}

fn op(name: &str) -> Op {
    OpLibrary::from_static(&OP_LIBRARY).expect("the library").op(name).expect("the op")
}

/// What a program starts with, and the exceptions that it has met.
const USUAL: u32 = 0x1f80;
const FLAGS: u32 = 0x3f;

const DENORMALS_ARE_ZERO: u32 = 1 << 6;
const FLUSH_TO_ZERO: u32 = 1 << 15;

/// Everything that PyTorch, a C program or a library may have set: `torch.set_flush_denormal(True)`, `fesetround`.
const SETTINGS: [u32; 6] = [
    USUAL | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO,
    USUAL | FLUSH_TO_ZERO,
    USUAL | DENORMALS_ARE_ZERO,
    USUAL | 1 << 13,
    USUAL | 2 << 13,
    USUAL | 3 << 13 | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO,
];

fn set(word: u32) {
    // SAFETY: a word that MXCSR may hold; what is computed with it is looked at as bits.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word) };
}

fn get() -> u32 {
    let mut word = 0;
    // SAFETY: writes MXCSR.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word) };
    word & !FLAGS
}

/// Numbers of all sizes, denormal ones too.
fn numbers() -> Tensor {
    let x = (0..2048).map(|i| (i as f32 - 1024.0) * 10.0_f32.powi(i % 44 - 42)).collect();
    Tensor::from_vec(x, &[2048]).expect("2048 elements")
}

/// What `rounds` is, by f64: each of its roundings is that of f32, to nearest.
fn expected() -> Vec<u8> {
    let x = numbers();
    let round = |value: f64| f64::from(value as f32);
    let rounded = x.as_slice::<f32>().expect("f32").iter().map(|x| {
        let x = f64::from(*x);
        let scaled = round(round(x * f64::from(1.0e-39_f32)) * f64::from(1.0e38_f32));
        (scaled + round(x / 3.0)) as f32
    });
    rounded.flat_map(f32::to_ne_bytes).collect()
}

#[test]
fn the_bits_do_not_depend_on_what_the_calling_thread_has_set() {
    let engines: Vec<Engine> = [(Mode::Checked, 1), (Mode::Checked, 4), (Mode::Fast, 1), (Mode::Fast, 4)]
        .map(|(mode, threads)| Engine::builder().mode(mode).threads(threads).build().expect("an engine"))
        .into();
    let expected = expected();
    for setting in SETTINGS {
        for engine in &engines {
            // The operands are not to change with the setting.
            let (x, op) = (numbers(), op("rounds"));
            set(setting);
            let result = engine.call(&op, &[x.view()], &[]);
            let after = get();
            set(USUAL);
            assert_eq!(after, setting, "the thread has what it had");
            assert!(result.unwrap_or_else(|error| panic!("{error}")).bytes() == expected, "{setting:#x} {engine:?}");
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_what_the_threads_of_a_pool_have_set() {
    struct Others;
    impl gpsimd_emulator::Workers for Others {
        fn threads(&self) -> usize {
            2
        }

        fn dispatch(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
            std::thread::scope(|scope| {
                for index in 0..tasks {
                    scope.spawn(move || {
                        let setting = SETTINGS[index % SETTINGS.len()];
                        set(setting);
                        task(index);
                        let after = get();
                        set(USUAL);
                        assert_eq!(after, setting);
                    });
                }
            });
        }
    }
    let engine = Engine::builder().workers(std::sync::Arc::new(Others)).build().expect("an engine");
    let y = engine.call(&op("rounds"), &[numbers().view()], &[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(y.bytes() == expected());
}

#[test]
fn a_kernel_that_fails_or_is_stopped_leaves_the_thread_what_it_had() {
    let engine = Engine::builder().threads(1).time_limit(Duration::from_millis(200)).build().expect("an engine");
    let x = numbers();
    for name in ["panics", "loops"] {
        let op = op(name);
        set(SETTINGS[0]);
        let result = engine.call(&op, &[x.view()], &[]);
        let after = get();
        set(USUAL);
        assert!(result.is_err());
        assert_eq!(after, SETTINGS[0], "{op:?}");
    }
}
