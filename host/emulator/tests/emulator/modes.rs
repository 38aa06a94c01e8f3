//! What checked and fast mode let a kernel see and do.

use gpsimd_emulator::Element;
use gpsimd_emulator::gpsimd_abi as abi;
use gpsimd_emulator::{Engine, Launch, LaunchError, Misuse, Mode, OpLibrary, Tensor, TensorType, bf16};

use crate::fixtures::{engine, iota, op};

/// What core 0 finds in its table: cores, tensors, in place, bytes of TCM, whether it allocates itself, whether the
/// first tensor and the output are direct, elements of the first tensor.
fn table(mode: Mode, in_place: bool) -> Vec<f32> {
    let engine = Engine::builder().mode(mode).cores(3).tcm_bytes(4096).build().unwrap();
    let (mut state, step) = (iota(8), iota(8));
    if in_place {
        let launch = Launch { tensors: &[step.view()], scalars: &[], outputs: vec![state.view_mut()] };
        engine.launch_in_place(&op("table_in_place"), launch).unwrap();
        return state.as_slice().unwrap().to_vec();
    }
    engine.call(&op("table"), &[step.view()], &[]).unwrap().as_slice().unwrap().to_vec()
}

#[test]
fn in_checked_mode_a_kernel_reaches_nothing_but_through_the_table() {
    assert_eq!(table(Mode::Checked, false), [3.0, 2.0, 0.0, 4096.0, 0.0, 0.0, 0.0, 8.0]);
    assert_eq!(table(Mode::Checked, true), [3.0, 3.0, 1.0, 4096.0, 0.0, 0.0, 0.0, 8.0]);
}

#[test]
fn in_fast_mode_a_kernel_reaches_tensors_and_tcm_itself() {
    assert_eq!(table(Mode::Fast, false), [3.0, 2.0, 0.0, 4096.0, 1.0, 1.0, 1.0, 8.0]);
    assert_eq!(table(Mode::Fast, true), [3.0, 3.0, 1.0, 4096.0, 1.0, 1.0, 1.0, 8.0]);
}

#[test]
fn fast_mode_without_direct_access_copies_tiles_to_the_same_bits() {
    let builder = Engine::builder().mode(Mode::Fast).threads(2);
    let [direct, copying] = [true, false].map(|direct| builder.clone().direct(direct).build().unwrap());
    let table = |engine: &Engine| engine.call(&op("table"), &[iota(8).view()], &[]).unwrap();
    assert_eq!(table(&direct).as_slice::<f32>().unwrap()[4..7], [1.0, 1.0, 1.0]);
    assert_eq!(table(&copying).as_slice::<f32>().unwrap()[4..7], [1.0, 0.0, 0.0]);

    let [replaced_direct, replaced_copying] = [&direct, &copying].map(|engine| {
        let (mut state, step) = (iota(100_003), iota(100_003));
        let launch = Launch { tensors: &[step.view()], scalars: &[], outputs: vec![state.view_mut()] };
        engine.launch_in_place(&op("add"), launch).unwrap();
        state
    });
    assert_eq!(replaced_copying, replaced_direct);
    assert_eq!(replaced_copying.as_slice::<f32>().unwrap()[100_002], 200_004.0);
}

/// Where cores are given copies, who was first would decide what is read, in this mode too.
#[test]
fn fast_mode_without_direct_access_sees_reads_of_what_another_core_replaces() {
    let engine = Engine::builder().mode(Mode::Fast).direct(false).build().unwrap();
    let (mut state, step) = (iota(80), iota(80));
    let launch = Launch { tensors: &[step.view()], scalars: &[], outputs: vec![state.view_mut()] };
    let Err(LaunchError::Kernel(error)) = engine.launch_in_place(&op("read_neighbour"), launch) else {
        panic!("it reads its neighbour's element")
    };
    assert!(matches!(error.misuse, Misuse::ReadReplacedByOther { writer: 0, .. }), "{error}");
    // With an output of its own, nothing that it reads is replaced.
    engine.call(&op("read_neighbour"), &[iota(80).view(), step.view()], &[]).unwrap();
}

#[test]
fn rows_that_lie_apart_are_updated_where_they_are_to_the_same_bits() {
    let fast = Engine::builder().mode(Mode::Fast).threads(2);
    let engines = [fast.clone().build(), fast.direct(false).build(), Engine::builder().threads(2).build()];
    for row_len in [0, 1, 7, 100, 12_345] {
        let (mut whole, step) = (iota(3 * row_len), iota(3 * row_len));
        let launch = Launch { tensors: &[step.view()], scalars: &[], outputs: vec![whole.view_mut()] };
        engine(Mode::Checked, 1).launch_in_place(&op("add"), launch).unwrap();
        let step = Tensor::from_vec(step.as_slice::<f32>().unwrap().to_vec(), &[3, row_len]).unwrap();
        for engine in &engines {
            let mut rows: Vec<Tensor> = (0..3)
                .map(|row| iota(3 * row_len).as_slice::<f32>().unwrap()[row * row_len..(row + 1) * row_len].to_vec())
                .map(|row| Tensor::from_vec(row, &[row_len]).unwrap())
                .collect();
            let mut views: Vec<_> = rows.iter_mut().map(Tensor::view_mut).collect();
            engine.as_ref().unwrap().launch_in_rows(&op("add"), &[step.view()], &[], &mut views).unwrap();
            let rows: Vec<u8> = rows.iter().flat_map(Tensor::bytes).copied().collect();
            assert_eq!(rows, whole.bytes(), "rows of {row_len}");
        }
    }
}

#[test]
fn in_fast_mode_the_library_and_the_table_allocate_from_one_pool() {
    for mode in [Mode::Fast, Mode::Checked] {
        assert_eq!(engine(mode, 2).call(&op("allocates_itself"), &[iota(300).view()], &[]).unwrap(), iota(300));
    }
}

#[test]
fn both_modes_give_the_same_bits() {
    for len in [0, 1, 7, 80, 12_345] {
        let (x, step) = (iota(len), iota(len));
        let results = [Mode::Checked, Mode::Fast].map(|mode| {
            let engine = engine(mode, 2);
            let mut state = x.clone();
            let launch = Launch { tensors: &[step.view()], scalars: &[], outputs: vec![state.view_mut()] };
            engine.launch_in_place(&op("add"), launch).unwrap();
            let scaled = engine.call(&op("scale_add"), &[x.view()], &[0.1.into(), 0.3.into()]).unwrap();
            let copied = engine.call(&op("copy"), &[x.view()], &[]).unwrap();
            assert_eq!(copied, x);
            [state.bytes(), scaled.bytes()].concat()
        });
        assert_eq!(results[0], results[1], "{len} elements");
    }
}

#[test]
fn scalars_arrive_in_the_descriptors_order() {
    let y = engine(Mode::Checked, 1).call(&op("scale_add"), &[iota(4).view()], &[2.0.into(), 0.5.into()]).unwrap();
    assert_eq!(y.as_slice::<f32>().unwrap(), [0.5, 2.5, 4.5, 6.5]);
}

#[test]
fn fast_mode_keeps_bounds_checks() {
    for (name, message) in [
        ("load_past_end", "load of 4 elements from element 79 of `x` goes past its end: it has 80 elements"),
        ("store_to_operand", "store to elements 3..5 of operand `x`: a kernel may write only its output, `y`"),
        (
            "after_tcm",
            "load of elements 0..2 of `x` leaves the TCM pool: 8 bytes from TCM byte 16380, the pool has 16384 bytes",
        ),
        ("null_tcm", "load of elements 0..2 of `x` with a null TCM pointer: check what `tcm_malloc` returned"),
        ("exhausted", "the TCM pool is exhausted: 16000 bytes asked, 15360 of 16384 left; use smaller tiles"),
        ("freed_before_pool", "`tcm_free` of TCM byte -1, where no buffer starts (freed before, or never allocated)"),
        ("refuses", "rows of 0 elements have no maximum"),
    ] {
        let Err(LaunchError::Kernel(error)) = engine(Mode::Fast, 2).call(&op(name), &[iota(80).view()], &[]) else {
            panic!("{name} is an error")
        };
        assert_eq!(error.misuse.to_string(), message);
    }
}

#[test]
fn a_kernel_may_use_none_of_the_device_and_give_nothing() {
    for mode in [Mode::Fast, Mode::Checked] {
        let empty = Tensor::zeros(TensorType::new(bf16::DTYPE, &[0, 3]).unwrap());
        assert_eq!(engine(mode, 2).call(&op("nothing"), &[empty.view()], &[]).unwrap(), empty);
        assert_eq!(engine(mode, 2).call(&op("copy"), &[empty.view()], &[]).unwrap(), empty);
    }
}

#[test]
fn a_launch_counts_what_every_core_transfers() {
    let (x, mut y) = (iota(1000), iota(1000));
    let launch = Launch { tensors: &[x.view()], scalars: &[], outputs: vec![y.view_mut()] };
    let report = engine(Mode::Checked, 2).launch(&op("copy"), launch).unwrap();
    // 125 elements in tiles of 64.
    let core = report.cores[7];
    assert_eq!(
        (core.loads, core.load_bytes, core.stores, core.store_bytes, core.tcm_high_water),
        (2, 500, 2, 500, 256)
    );
    let total = report.total();
    assert_eq!((total.loads, total.load_bytes, total.tcm_high_water), (16, 4000, 256));
}

#[test]
fn an_engine_has_1_to_8_cores() {
    for cores in [0, 9] {
        let error = Engine::builder().cores(cores).build().unwrap_err();
        assert_eq!(error.to_string(), format!("a GPSIMD engine has 1 to 8 cores, found {cores}"));
    }
}

/// A library in this program, as `op_library!` makes one.
mod in_process {
    use std::cell::Cell;

    use super::abi;

    thread_local! {
        /// Calls of the shape function on this thread.
        pub(super) static SHAPES: Cell<usize> = const { Cell::new(0) };
    }

    unsafe extern "C" fn run(device: *const abi::DeviceTable) -> u32 {
        // SAFETY: a kernel is given its device table.
        let device = unsafe { &*device };
        // SAFETY: the table has a context, and a text is static.
        unsafe { (device.fail)(device.context, abi::FAILURE_PANIC, abi::Text::new("out of coffee"), std::ptr::null()) };
        abi::STATUS_FAILED
    }

    unsafe extern "C" fn shape(
        _operands: *const abi::RawTensorType,
        _operand_count: u32,
        outputs: *mut abi::RawTensorType,
        _output_count: u32,
        _error: *mut abi::RawShapeError,
    ) -> u32 {
        SHAPES.set(SHAPES.get() + 1);
        // SAFETY: a shape function is given room for its outputs.
        unsafe { outputs.write(abi::RawTensorType { dtype: 1, rank: 0, dims: [0; 8] }) };
        abi::STATUS_OK
    }

    const DESCRIPTOR: &str = r#"{"name": "here", "version": "1", "ops": [{"name": "tired", "doc": "", "operands": [],
        "outputs": [{"name": "y", "element": "f32"}], "gradients": [], "file": ""}]}"#;

    pub(super) static LIBRARY: abi::LibraryTable = abi::LibraryTable {
        magic: abi::MAGIC,
        abi_version: abi::ABI_VERSION,
        op_count: 1,
        descriptor: abi::Text::new(DESCRIPTOR),
        cpu_features: abi::Text::new(""),
        ops: &abi::OpFunctions { run, shape },
    };

    pub(super) unsafe extern "C" fn entry_point() -> *const abi::LibraryTable {
        &raw const LIBRARY
    }
}

#[test]
fn a_library_in_this_program_is_launched_like_a_loaded_one() {
    // SAFETY: the entry point returns a static library.
    let by_entry_point = unsafe { OpLibrary::from_entry_point(in_process::entry_point) }.unwrap();
    for library in [OpLibrary::from_static(&in_process::LIBRARY).unwrap(), by_entry_point] {
        let error = engine(Mode::Checked, 1).call(&library.op("tired").unwrap(), &[], &[]).unwrap_err();
        let LaunchError::Kernel(error) = error else { panic!("{error:?}") };
        assert_eq!(error.misuse, Misuse::Panicked { message: "out of coffee".into() });
        assert_eq!(error.to_string(), "op `tired`, core 0: panicked: out of coffee");
    }
}

#[test]
fn a_launch_calls_the_shape_function_once() {
    let library = OpLibrary::from_static(&in_process::LIBRARY).unwrap();
    let (engine, op) = (engine(Mode::Checked, 1), library.op("tired").unwrap());
    let calls = |launch: &dyn Fn() -> bool| {
        in_process::SHAPES.set(0);
        assert!(launch(), "the kernel fails");
        in_process::SHAPES.get()
    };
    assert_eq!(calls(&|| engine.call(&op, &[], &[]).is_err()), 1);
    let allocated = || {
        let bound = op.bind(&[], &[]).unwrap();
        let mut y = Tensor::zeros(bound.output_types()[0]);
        engine.launch_bound(bound, vec![y.view_mut()]).is_err()
    };
    assert_eq!(calls(&allocated), 1);
    let given = || {
        let mut y = Tensor::from_vec(vec![0.0_f32], &[]).unwrap();
        engine.launch(&op, Launch { tensors: &[], scalars: &[], outputs: vec![y.view_mut()] }).is_err()
    };
    assert_eq!(calls(&given), 1);
}
