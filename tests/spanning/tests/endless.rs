//! Kernels that do not end or run out of stack (`tests/faults/endless-ops`): an error that says which core of which op, soon, and
//! the thread, its pool and every other launch go on.

use std::process::Command;
use std::time::{Duration, Instant};

use gpsimd_emulator::{Engine, EngineBuilder, KernelError, LastDma, LaunchError, Misuse, Mode, Tensor};
use gpsimd_tests::library;

const LIMIT: Duration = Duration::from_millis(500);

/// Much longer than a launch takes that is stopped at `LIMIT`, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

fn builder(mode: Mode, threads: usize) -> EngineBuilder {
    Engine::builder().mode(mode).threads(threads).time_limit(LIMIT)
}

fn engine(mode: Mode, threads: usize) -> Engine {
    builder(mode, threads).build().expect("an engine")
}

fn tensor(value: f32) -> Tensor {
    Tensor::from_vec(vec![value; 3001], &[3001]).expect("as many elements as the shape")
}

fn launch(engine: &Engine, op: &str, value: f32) -> Result<Tensor, LaunchError> {
    let op = library(&endless_ops::OP_LIBRARY).op(op).expect("the op");
    engine.call(&op, &[tensor(value).view()], &[])
}

fn error(engine: &Engine, op: &str, value: f32) -> KernelError {
    let started = Instant::now();
    let Err(LaunchError::Kernel(error)) = launch(engine, op, value) else { panic!("`{op}` returns") };
    assert!(started.elapsed() < SOON, "{error} after {:?}", started.elapsed());
    *error
}

/// A launch of a kernel that ends.
fn is_right(engine: &Engine, value: f32) {
    match launch(engine, "recurses", value) {
        Ok(y) => assert!(y == tensor(value)),
        Err(error) => panic!("{error}"),
    }
}

/// The engine still works, on all of its threads and on this one.
fn still_works(engine: &Engine) {
    engine.set_time_limit(Duration::ZERO);
    for _ in 0..20 {
        is_right(engine, 3.0);
    }
    let Err(LaunchError::Kernel(error)) = launch(engine, "panics", 3.0) else { panic!("it does not panic") };
    assert_eq!(error.misuse, Misuse::Panicked { message: "3001 elements".into() });
}

#[test]
fn a_loop_that_does_not_end_is_an_error_that_names_op_and_core() {
    for threads in [1, 2, 8] {
        let engine = engine(Mode::Checked, threads);
        let error = error(&engine, "loops", 1.0);
        assert_eq!((error.core, error.location.is_some()), (Some(3), false), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("op `loops`, core 3: still running after 0.5 s"), "{text}");
        assert!(text.contains("the kernel had made no DMA") && text.contains("GPSIMD_TIME_LIMIT"), "{text}");
        still_works(&engine);
    }
}

#[test]
fn a_loop_that_does_not_end_says_where_its_last_dma_is() {
    for threads in [1, 2, 8] {
        let engine = engine(Mode::Checked, threads);
        let error = error(&engine, "loads_for_ever", 1.0);
        let core = u64::from(error.core.expect("a core"));
        let Misuse::TimeLimit { last: LastDma::Of { tensor, range, .. }, limit } = &error.misuse else {
            panic!("{error}")
        };
        assert_eq!((tensor.as_str(), *limit), ("x", LIMIT));
        assert_eq!((range.start / 376, range.end - range.start), (core, 16), "{error}");
        let location = error.location.as_ref().expect("a place");
        let source = include_str!("../../faults/endless-ops/src/lib.rs");
        let line = source.lines().nth(location.line as usize - 1).expect("a line of the source");
        assert!(location.file.ends_with("endless-ops/src/lib.rs") && line.contains("LANES"), "{error}: {line}");
        still_works(&engine);
    }
}

#[test]
fn a_loop_in_the_c_library_ends_too() {
    let engine = engine(Mode::Checked, 2);
    assert_eq!(error(&engine, "fills_for_ever", 1.0).core, Some(0));
    still_works(&engine);
}

#[test]
fn a_kernel_that_ignores_failing_dmas_for_ever_ends() {
    let engine = engine(Mode::Checked, 2);
    let error = error(&engine, "insists", 1.0);
    assert!(error.to_string().contains("elements 3001..3017 of `x`"), "{error}");
    still_works(&engine);
}

#[test]
fn a_limit_that_is_set_holds_in_fast_mode_too() {
    let engine = engine(Mode::Fast, 2);
    let error = error(&engine, "loops", 1.0);
    assert!(matches!(error.misuse, Misuse::TimeLimit { last: LastDma::Unknown, .. }), "{error}");
    still_works(&engine);
}

#[test]
fn recursion_that_is_too_deep_is_an_error_in_either_mode() {
    for (mode, threads) in [(Mode::Checked, 1), (Mode::Checked, 8), (Mode::Fast, 1), (Mode::Fast, 8)] {
        let engine = engine(mode, threads);
        let error = error(&engine, "recurses", 100_000.0);
        let text = error.to_string();
        assert!(text.contains("op `recurses`, core 0") && text.contains("stack overflow"), "{text}");
        assert_eq!(text.contains("load of elements 0..1 of `x`"), mode == Mode::Checked, "{text}");
        still_works(&engine);
    }
}

#[test]
fn how_deep_recursion_may_be_does_not_depend_on_the_thread() {
    let depths = |threads| {
        let engine = engine(Mode::Checked, threads);
        let fits = |depth: &usize| launch(&engine, "recurses", *depth as f32).is_ok();
        (1000..30_000).step_by(500).take_while(fits).count()
    };
    let here = depths(1);
    assert!(here > 0 && here < 58);
    assert_eq!(std::thread::Builder::new().stack_size(200_000).spawn(move || depths(1)).unwrap().join().unwrap(), here);
    assert_eq!(depths(8), here);
}

#[test]
fn functions_that_call_each_other_too_deeply_are_an_error() {
    let engine = engine(Mode::Checked, 2);
    let error = error(&engine, "recurses_in_turn", 1e6);
    assert!(matches!(error, KernelError { core: Some(5), misuse: Misuse::StackOverflow { .. }, .. }), "{error}");
    still_works(&engine);
}

#[test]
fn local_variables_that_are_too_large_are_an_error() {
    for mode in [Mode::Checked, Mode::Fast] {
        let engine = engine(mode, 2);
        let error = error(&engine, "has_large_locals", 1.0);
        assert!(matches!(error.misuse, Misuse::StackOverflow { .. }), "{error}");
        still_works(&engine);
    }
}

#[test]
fn running_out_of_stack_between_dmas_is_an_error() {
    for mode in [Mode::Checked, Mode::Fast] {
        let engine = builder(mode, 2).direct(false).time_limit(Duration::ZERO).build().expect("an engine");
        let error = error(&engine, "loads_while_it_recurses", 1.0);
        assert!(matches!(error.misuse, Misuse::StackOverflow { .. }), "{error}");
        assert_eq!(error.core, Some(0));
        still_works(&engine);
    }
}

#[test]
fn other_launches_of_the_engine_go_on() {
    let engine = engine(Mode::Checked, 3);
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| error(&engine, "loops", 1.0));
        let good: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let until = Instant::now() + 2 * LIMIT;
                    while Instant::now() < until {
                        is_right(&engine, 2.0);
                    }
                })
            })
            .collect();
        assert_eq!(hanging.join().unwrap().core, Some(3));
        for thread in good {
            thread.join().unwrap();
        }
    });
    still_works(&engine);
}

#[test]
fn two_launches_that_hang_at_once_both_end() {
    let engine = engine(Mode::Checked, 2);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            ["loops", "loads_for_ever", "fills_for_ever"].map(|op| scope.spawn(|| error(&engine, op, 1.0))).into();
        for thread in threads {
            assert!(matches!(thread.join().unwrap().misuse, Misuse::TimeLimit { .. }));
        }
    });
    still_works(&engine);
}

#[test]
fn a_launch_on_a_thread_of_a_pool_ends() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    let engine = engine(Mode::Checked, 2);
    for _ in 0..3 {
        engine.set_time_limit(LIMIT);
        assert_eq!(pool.install(|| error(&engine, "loops", 1.0)).core, Some(3));
        pool.install(|| still_works(&engine));
    }
}

#[test]
fn an_interrupt_handle_ends_what_runs_and_nothing_that_comes_later() {
    for mode in [Mode::Checked, Mode::Fast] {
        let engine = builder(mode, 2).time_limit(Duration::ZERO).build().expect("an engine");
        let handle = engine.interrupt_handle();
        handle.interrupt();
        std::thread::scope(|scope| {
            let hanging = scope.spawn(|| error(&engine, "loops", 1.0));
            std::thread::sleep(LIMIT);
            assert!(!hanging.is_finished(), "the interrupt before the launch has no effect");
            handle.interrupt();
            let error = hanging.join().unwrap();
            assert!(matches!(error.misuse, Misuse::Interrupted { .. }), "{error}");
        });
        still_works(&engine);
    }
}

#[test]
fn a_panic_after_a_launch_was_stopped_is_reported_by_the_hook_that_was_there() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    // In a process of its own: hooks are the process's.
    if std::env::var_os("GPSIMD_TEST_CHILD").is_none() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let name = "a_panic_after_a_launch_was_stopped_is_reported_by_the_hook_that_was_there";
        let output = child.args([name, "--exact"]).env("GPSIMD_TEST_CHILD", "1").output().expect("a child");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    std::panic::set_hook(Box::new(|_| {
        SEEN.fetch_add(1, Ordering::Relaxed);
    }));
    let engine = engine(Mode::Checked, 1);
    for op in ["loops", "has_large_locals"] {
        let before = SEEN.load(Ordering::Relaxed);
        error(&engine, op, 1.0);
        assert!(std::panic::catch_unwind(|| panic!("of the program")).is_err());
        assert_eq!(SEEN.load(Ordering::Relaxed), before + 1, "after `{op}`");
    }
}

/// What the children of the tests below do: hang, in an engine that heeds Ctrl-C.
#[test]
#[ignore = "run by other tests, in processes of their own"]
fn hangs() {
    if std::env::var_os("GPSIMD_TEST_HANDLER").is_some() {
        let seen = std::sync::Arc::default();
        signal_hook::flag::register(libc::SIGINT, std::sync::Arc::clone(&seen)).expect("a handler");
        let engine = Engine::builder().threads(2).interrupt_on_sigint(true).build().expect("an engine");
        let error = error(&engine, "loops", 1.0);
        assert!(matches!(error.misuse, Misuse::Interrupted { .. }) && error.core == Some(3), "{error}");
        assert!(seen.load(std::sync::atomic::Ordering::Relaxed), "the program's handler is called");
        still_works(&engine);
        println!("interrupted");
    } else {
        let _ = launch(&Engine::builder().interrupt_on_sigint(true).build().expect("an engine"), "loops", 1.0);
    }
}

/// Starts [`hangs`], and interrupts it after a while: its status and output.
fn interrupted(with_handler: bool) -> std::process::Output {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["hangs", "--exact", "--ignored", "--nocapture"]).stdout(std::process::Stdio::piped());
    if with_handler {
        child.env("GPSIMD_TEST_HANDLER", "1");
    }
    let child = child.spawn().expect("a child");
    std::thread::sleep(Duration::from_secs(1));
    // SAFETY: a signal to a child of this process, which has not been waited for.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
    child.wait_with_output().expect("it ends")
}

#[test]
fn ctrl_c_ends_a_launch_that_hangs_in_a_program_that_handles_it() {
    let output = interrupted(true);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("interrupted"), "{}: {text}", output.status);
}

#[test]
fn ctrl_c_ends_a_program_that_does_not_handle_it() {
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(interrupted(false).status.signal(), Some(libc::SIGINT));
}

/// Threads that C made have no stack for signal handlers, unlike Rust's.
#[cfg(target_os = "linux")]
mod threads_of_c {
    use std::ffi::c_void;
    use std::ptr;

    use super::*;

    /// The stack that handlers run on, on this thread.
    fn signal_stack() -> libc::stack_t {
        // SAFETY: asks.
        unsafe {
            let mut current = std::mem::zeroed();
            assert_eq!(libc::sigaltstack(ptr::null(), &raw mut current), 0);
            current
        }
    }

    fn is_enabled(stack: &libc::stack_t) -> bool {
        stack.ss_flags & libc::SS_DISABLE == 0
    }

    /// Makes `memory` the stack that handlers run on, on this thread.
    fn set_signal_stack(memory: &'static mut [u8]) {
        let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
        // SAFETY: the memory is for signals alone, and is never given back.
        assert_eq!(unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) }, 0);
    }

    struct Job {
        work: fn(&Engine),
        result: std::thread::Result<()>,
        key: libc::pthread_key_t,
        /// When all that is the thread's has been dropped.
        at_end: Option<libc::stack_t>,
    }

    extern "C" fn run(job: *mut c_void) -> *mut c_void {
        // SAFETY: the job of this thread, which its creator waits for.
        let job = unsafe { &mut *job.cast::<Job>() };
        // SAFETY: a key that exists.
        unsafe { libc::pthread_setspecific(job.key, ptr::from_mut(job).cast()) };
        job.result = std::panic::catch_unwind(|| (job.work)(&engine(Mode::Checked, 1)));
        ptr::null_mut()
    }

    /// After the destructors of thread-local variables, as the C library has it.
    extern "C" fn end(job: *mut c_void) {
        // SAFETY: as above.
        unsafe { (*job.cast::<Job>()).at_end = Some(signal_stack()) };
    }

    /// Does `work` on a thread that C made; returns the stack for signal handlers at its end.
    fn on_a_thread_of_c(work: fn(&Engine)) -> libc::stack_t {
        let mut job = Job { work, result: Ok(()), key: 0, at_end: None };
        // SAFETY: a thread that is waited for, and a key that is used by it alone.
        unsafe {
            let mut thread = std::mem::zeroed();
            assert_eq!(libc::pthread_key_create(&raw mut job.key, Some(end)), 0);
            assert_eq!(libc::pthread_create(&raw mut thread, ptr::null(), run, (&raw mut job).cast()), 0);
            assert_eq!(libc::pthread_join(thread, ptr::null_mut()), 0);
            libc::pthread_key_delete(job.key);
        }
        if let Err(panic) = job.result {
            std::panic::resume_unwind(panic);
        }
        job.at_end.expect("the thread has ended")
    }

    fn runs_out_of_stack(engine: &Engine) {
        let error = error(engine, "has_large_locals", 1.0);
        assert!(matches!(error.misuse, Misuse::StackOverflow { .. }), "{error}");
        still_works(engine);
    }

    #[test]
    fn kernels_that_run_out_of_stack_are_an_error_and_the_thread_keeps_no_stack_of_theirs() {
        let at_end = on_a_thread_of_c(|engine| {
            assert!(!is_enabled(&signal_stack()), "C threads have none");
            runs_out_of_stack(engine);
            assert!(is_enabled(&signal_stack()));
        });
        assert!(!is_enabled(&at_end), "it is that of memory which is no longer there");
    }

    #[test]
    fn a_signal_stack_that_is_large_enough_is_used() {
        let at_end = on_a_thread_of_c(|engine| {
            set_signal_stack(vec![0; 64 * 1024].leak());
            let before = signal_stack().ss_sp;
            runs_out_of_stack(engine);
            assert_eq!(signal_stack().ss_sp, before);
        });
        assert!(is_enabled(&at_end), "it is the thread's own");
    }

    #[test]
    fn a_signal_stack_that_is_small_is_replaced() {
        on_a_thread_of_c(|engine| {
            set_signal_stack(vec![0; 12 * 1024].leak());
            runs_out_of_stack(engine);
            assert!(signal_stack().ss_size >= 64 * 1024);
        });
    }

    #[test]
    fn a_signal_stack_of_the_thread_set_after_a_launch_stays() {
        let at_end = on_a_thread_of_c(|engine| {
            runs_out_of_stack(engine);
            set_signal_stack(vec![0; 128 * 1024].leak());
            runs_out_of_stack(engine);
        });
        assert_eq!((is_enabled(&at_end), at_end.ss_size), (true, 128 * 1024));
    }
}
