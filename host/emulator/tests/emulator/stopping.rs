//! What becomes of a launch that is to end while its cores run, and of cores that have ended by then. Kernels that never
//! end by themselves are tested with `tests/faults/endless-ops`.

use std::time::Duration;

use gpsimd_emulator::{Engine, EngineBuilder, KernelError, LastDma, LaunchError, Misuse, Mode, OpLibrary, Tensor};

use crate::fixtures::iota;

const LIMIT: Duration = Duration::from_millis(50);

/// Ops that end after their time, of this program.
mod late {
    use std::time::Duration;

    use gpsimd_emulator::gpsimd_abi as abi;
    use gpsimd_emulator::is_stopping;

    /// Elements of the operand.
    pub(super) const LEN: u64 = 3;

    /// Waits until the launch is to end, which nothing cuts short.
    fn outlast() {
        // Nobody waits for the signal on this thread any more: it is the test's own.
        // SAFETY: a set of its own; changes this thread alone.
        unsafe {
            let mut signals: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut signals);
            libc::sigaddset(&raw mut signals, libc::SIGURG);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut());
        }
        while !is_stopping() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Its output is its operand, which the first core copies.
    unsafe extern "C" fn ends_late(device: *const abi::DeviceTable) -> u32 {
        // SAFETY: a kernel is given its device table.
        let device = unsafe { &*device };
        if device.core_id == 0 {
            // SAFETY: the table has a context; 64 bytes hold the elements.
            unsafe {
                let tcm = (device.tcm_alloc)(device.context, 64, std::ptr::null());
                (device.load)(device.context, 0, 0, LEN, tcm, std::ptr::null());
                (device.store)(device.context, 1, 0, LEN, tcm, std::ptr::null());
                (device.tcm_free)(device.context, tcm, std::ptr::null());
            }
        }
        outlast();
        abi::STATUS_OK
    }

    unsafe extern "C" fn fails_late(device: *const abi::DeviceTable) -> u32 {
        // SAFETY: a kernel is given its device table.
        let device = unsafe { &*device };
        let message = abi::Text::new("no rows");
        // SAFETY: the table has a context, and a text is static.
        unsafe { (device.fail)(device.context, abi::FAILURE_REFUSED, message, std::ptr::null()) };
        outlast();
        abi::STATUS_FAILED
    }

    /// Ends when a load fails.
    unsafe extern "C" fn loads_for_ever(device: *const abi::DeviceTable) -> u32 {
        // SAFETY: a kernel is given its device table.
        let device = unsafe { &*device };
        // SAFETY: the table has a context; 64 bytes hold the element.
        unsafe {
            let tcm = (device.tcm_alloc)(device.context, 64, std::ptr::null());
            while (device.load)(device.context, 0, 2, 1, tcm, std::ptr::null()) == abi::STATUS_OK {}
        }
        abi::STATUS_FAILED
    }

    /// Reads what is not there.
    unsafe extern "C" fn faults(_: *const abi::DeviceTable) -> u32 {
        // SAFETY: none: the test is that this is noticed.
        u32::from(unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() })
    }

    unsafe extern "C" fn like_first(
        operands: *const abi::RawTensorType,
        _: u32,
        outputs: *mut abi::RawTensorType,
        _: u32,
        _: *mut abi::RawShapeError,
    ) -> u32 {
        // SAFETY: a shape function is given the types of its operands, here one, and room for its outputs.
        unsafe { outputs.write(operands.read()) };
        abi::STATUS_OK
    }

    const OPS: [abi::OpFunctions; 4] = [
        abi::OpFunctions { run: ends_late, shape: like_first },
        abi::OpFunctions { run: fails_late, shape: like_first },
        abi::OpFunctions { run: loads_for_ever, shape: like_first },
        abi::OpFunctions { run: faults, shape: like_first },
    ];

    const DESCRIPTOR: &str = r#"{"name": "late", "version": "1", "ops": [
        {"name": "ends_late", "doc": "", "operands": [{"name": "x", "kind": {"tensor": "f32"}}],
         "outputs": [{"name": "y", "element": "f32"}], "gradients": [], "file": ""},
        {"name": "fails_late", "doc": "", "operands": [{"name": "x", "kind": {"tensor": "f32"}}],
         "outputs": [{"name": "y", "element": "f32"}], "gradients": [], "file": ""},
        {"name": "loads_for_ever", "doc": "", "operands": [{"name": "x", "kind": {"tensor": "f32"}}],
         "outputs": [{"name": "y", "element": "f32"}], "gradients": [], "file": ""},
        {"name": "faults", "doc": "", "operands": [{"name": "x", "kind": {"tensor": "f32"}}],
         "outputs": [{"name": "y", "element": "f32"}], "gradients": [], "file": ""}]}"#;

    pub(super) static LIBRARY: abi::LibraryTable = abi::LibraryTable {
        magic: abi::MAGIC,
        abi_version: abi::ABI_VERSION,
        op_count: OPS.len() as u32,
        descriptor: abi::Text::new(DESCRIPTOR),
        cpu_features: abi::Text::new(""),
        ops: OPS.as_ptr(),
    };
}

/// Cores one after another, on the launching thread.
fn one_thread(mode: Mode) -> EngineBuilder {
    Engine::builder().mode(mode).threads(1).time_limit(LIMIT)
}

/// Launches on a thread of its own, whose signals the kernels may block.
fn launch(library: &OpLibrary, op: &str, engine: EngineBuilder) -> Result<Tensor, Box<KernelError>> {
    let (op, engine) = (library.op(op).unwrap(), engine.build().unwrap());
    let call = || engine.call(&op, &[iota(late::LEN as usize).view()], &[]);
    match std::thread::scope(|scope| scope.spawn(call).join().unwrap()) {
        Ok(y) => Ok(y),
        Err(LaunchError::Kernel(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

fn native(op: &str, engine: EngineBuilder) -> Result<Tensor, Box<KernelError>> {
    launch(&OpLibrary::from_static(&late::LIBRARY).unwrap(), op, engine)
}

fn of_the_host(op: &str, engine: EngineBuilder) -> Result<Tensor, Box<KernelError>> {
    launch(&OpLibrary::from_static_host(&late::LIBRARY).unwrap(), op, engine)
}

#[test]
fn a_kernel_that_fails_when_its_time_is_up_keeps_its_own_error() {
    for mode in [Mode::Checked, Mode::Fast] {
        let error = native("fails_late", one_thread(mode)).unwrap_err();
        assert_eq!((error.core, error.misuse), (Some(0), Misuse::Refused { message: "no rows".into() }));
    }
}

#[test]
fn a_core_that_ends_when_time_is_up_is_right_and_those_that_have_not_begun_are_the_error() {
    for mode in [Mode::Checked, Mode::Fast] {
        for run in [native, of_the_host] {
            let error = run("ends_late", one_thread(mode)).unwrap_err();
            assert_eq!((error.core, error.misuse), (None, Misuse::TimeLimit { limit: LIMIT, last: LastDma::NoCore }));
        }
    }
}

#[test]
fn a_launch_whose_cores_all_end_when_its_time_is_up_stands() {
    for run in [native, of_the_host] {
        assert_eq!(run("ends_late", one_thread(Mode::Fast).cores(1)).unwrap(), iota(late::LEN as usize));
        // The second run of checked mode does not begin.
        let error = run("ends_late", one_thread(Mode::Checked).cores(1)).unwrap_err();
        assert_eq!((error.core, error.misuse), (None, Misuse::TimeLimit { limit: LIMIT, last: LastDma::NoCore }));
    }
}

#[test]
fn code_of_the_host_ends_at_its_next_dma() {
    for mode in [Mode::Checked, Mode::Fast] {
        let error = of_the_host("loads_for_ever", one_thread(mode)).unwrap_err();
        let Misuse::TimeLimit { limit: LIMIT, last: LastDma::Of { tensor, range, .. } } = error.misuse else {
            panic!("{error}")
        };
        assert_eq!((error.core, tensor.as_str(), range), (Some(0), "x", 2..3));
    }
}

#[test]
fn code_of_the_host_that_fails_when_its_time_is_up_is_out_of_time() {
    for mode in [Mode::Checked, Mode::Fast] {
        let error = of_the_host("fails_late", one_thread(mode)).unwrap_err();
        assert!(matches!(error.misuse, Misuse::TimeLimit { limit: LIMIT, .. }), "{error}");
        assert_eq!(error.core, Some(0));
    }
}

/// Not an error of the launch, as running out of stack is: who knows what else such a kernel has written.
#[test]
fn a_kernel_that_reads_what_is_not_there_ends_the_program() {
    use std::os::unix::process::ExitStatusExt;
    if std::env::var_os("GPSIMD_TEST_CHILD").is_some() {
        let _ = native("faults", one_thread(Mode::Fast));
        return;
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let name = "stopping::a_kernel_that_reads_what_is_not_there_ends_the_program";
    let output = child.args([name, "--exact"]).env("GPSIMD_TEST_CHILD", "1").output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{}", String::from_utf8_lossy(&output.stdout));
}
