//! [`Library`]: many WebAssembly modules as emitted C++, compiled into one shared library and called in this process.

use std::ffi::{CStr, c_char, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;

use gpsimd_codegen::{Module, Options, emit};

use crate::layout::{Function, Layout};

const HARNESS: &str = include_str!("harness.hpp");
const RUNTIME: &str = include_str!("runtime.cpp");
/// All warnings but those about what the modules do: call nothing, compare a number with itself, call themselves without end.
const FLAGS: [&str; 12] = [
    "-std=c++14",
    "-O1",
    "-fPIC",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unused-function",
    "-Wno-unused-but-set-variable",
    "-Wno-tautological-compare",
    "-Wno-infinite-recursion",
    "-Wno-type-limits",
];

/// Place of a module in its library.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModuleId(usize);

/// Modules on their way into a library.
#[derive(Default)]
pub(crate) struct LibraryBuilder {
    sources: Vec<String>,
    modules: Vec<Layout>,
}

impl LibraryBuilder {
    /// Emits the module.
    ///
    /// # Errors
    /// Why the generator refuses it.
    pub(crate) fn add(&mut self, wasm: &[u8], options: &Options) -> Result<ModuleId, String> {
        let module = Module::read(wasm).map_err(|error| reason(&error.to_string()))?;
        let layout = Layout::read(wasm)?;
        let emitted = emit(&module, options).map_err(|error| reason(&error.to_string()))?;

        let id = self.modules.len();
        let interface = layout.cpp(id, &emitted.functions);
        self.sources.push(format!("namespace m{id} {{\n{}\n{interface}}}\n", emitted.source()));
        self.modules.push(layout);
        Ok(ModuleId(id))
    }

    /// How many modules there are.
    pub(crate) fn len(&self) -> usize {
        self.modules.len()
    }

    /// Compiles and loads the modules, in the folder `name` of the tests' temporary folder.
    pub(crate) fn build(self, name: &str) -> Library {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut units = vec![RUNTIME.to_owned()];
        let prefix = HARNESS.replace("//! PRELUDE", gpsimd_codegen::PRELUDE);
        units.extend(balanced(&self.sources, jobs).into_iter().map(|modules| prefix.clone() + &modules.concat()));

        let objects: Vec<PathBuf> = std::thread::scope(|scope| {
            let compilations: Vec<_> = units
                .iter()
                .enumerate()
                .map(|(i, unit)| {
                    let path = folder.join(format!("unit{i}.cpp"));
                    scope.spawn(move || compile(&path, unit))
                })
                .collect();
            compilations.into_iter().map(|compilation| compilation.join().unwrap()).collect()
        });
        let path = folder.join("modules.so");
        run(Command::new(compiler()).arg("-shared").arg("-o").arg(&path).args(&objects));
        // SAFETY: the library was built just now from sources without static constructors.
        let loaded = unsafe { libloading::Library::new(&path) }.unwrap();
        Library { loaded, modules: self.modules }
    }
}

/// Everything that the generator refuses is counted by its reason: without the place.
fn reason(error: &str) -> String {
    let what = error.split_once(" uses ").map_or(error, |(_, what)| what);
    let what = what.split_once(" (at offset").map_or(what, |(what, _)| what);
    what.trim_end_matches(", which no C++ is generated for").to_owned()
}

/// The sources in at most `parts` lists of about the same size.
fn balanced(sources: &[String], parts: usize) -> Vec<Vec<&str>> {
    let mut lists = vec![(0, Vec::new()); parts];
    let mut largest_first: Vec<&str> = sources.iter().map(String::as_str).collect();
    largest_first.sort_by_key(|source| std::cmp::Reverse(source.len()));
    for source in largest_first {
        let (size, list) = lists.iter_mut().min_by_key(|(size, _)| *size).unwrap();
        *size += source.len();
        list.push(source);
    }
    lists.into_iter().map(|(_, list)| list).collect()
}

fn compiler() -> String {
    std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned())
}

fn compile(path: &Path, source: &str) -> PathBuf {
    std::fs::write(path, source).unwrap();
    let object = path.with_extension("o");
    run(Command::new(compiler()).args(FLAGS).arg("-c").arg(path).arg("-o").arg(&object));
    object
}

fn run(command: &mut Command) {
    let output = command.output().expect("a C++ compiler: set CXX");
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Compiled modules.
pub(crate) struct Library {
    loaded: libloading::Library,
    modules: Vec<Layout>,
}

type Thunk = unsafe extern "C" fn(*mut c_void, *const u64, *mut u64);
type Invoke = unsafe extern "C" fn(Thunk, *mut c_void, *const u64, *mut u64) -> *const c_char;

/// The message of a trap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trap(pub String);

impl Library {
    /// A new instance of a module.
    ///
    /// # Errors
    /// When it traps.
    pub(crate) fn instantiate(&self, id: ModuleId) -> Result<Instance<'_>, Trap> {
        // SAFETY: the type is that of `Layout::cpp`.
        let state = unsafe { self.symbol::<unsafe extern "C" fn() -> *mut c_void>(&format!("m{}_new", id.0))() };
        let mut instance = Instance { library: self, id, state };
        instance.invoke("instantiate", &[], 0)?;
        Ok(instance)
    }

    /// # Safety
    /// `name` has the type `T`, a function pointer.
    unsafe fn symbol<T: Copy>(&self, name: &str) -> T {
        // SAFETY: by the caller.
        unsafe { *self.loaded.get::<T>(name).unwrap_or_else(|error| panic!("{name}: {error}")) }
    }
}

/// A module with its memory and globals.
pub(crate) struct Instance<'l> {
    library: &'l Library,
    id: ModuleId,
    state: *mut c_void,
}

impl Instance<'_> {
    /// Calls an exported function; operands and results are bit patterns.
    ///
    /// # Errors
    /// When it traps.
    pub(crate) fn call(&mut self, export: &str, operands: &[u64]) -> Result<Vec<u64>, Trap> {
        let function = self.function(export);
        assert_eq!(operands.len(), function.operands.len(), "operands of {export}");
        self.invoke(&format!("function{}", function.index), operands, function.results.len())
    }

    /// What is known of an exported function.
    pub(crate) fn function(&self, export: &str) -> &Function {
        &self.library.modules[self.id.0].functions[export]
    }

    fn invoke(&mut self, name: &str, operands: &[u64], results: usize) -> Result<Vec<u64>, Trap> {
        let mut values = vec![0; results];
        // SAFETY: thunks and runtime have these types, and the arrays the lengths that the thunk accesses.
        unsafe {
            let invoke: Invoke = self.library.symbol("gpsimd_invoke");
            let function: Thunk = self.library.symbol(&format!("m{}_{name}", self.id.0));
            let message = invoke(function, self.state, operands.as_ptr(), values.as_mut_ptr());
            if message.is_null() { Ok(values) } else { Err(Trap(CStr::from_ptr(message).to_string_lossy().into())) }
        }
    }

    /// The bits of an exported mutable global, if it has no name but that of the export.
    pub(crate) fn global(&mut self, export: &str) -> Option<u64> {
        let index = self.library.modules[self.id.0].globals.get(export)?;
        Some(self.invoke(&format!("global{index}"), &[], 1).expect("getters do not trap")[0])
    }

    /// The memory as it is now.
    pub(crate) fn memory(&self) -> &[u8] {
        // SAFETY: types as in `Layout::cpp`; no function runs while the borrow lives.
        unsafe {
            let start = self.of_instance::<*const u8>("memory");
            std::slice::from_raw_parts(start, self.of_instance::<u64>("memory_bytes") as usize)
        }
    }

    /// # Safety
    /// `name` returns a `T`.
    unsafe fn of_instance<T>(&self, name: &str) -> T {
        // SAFETY: by the caller.
        unsafe {
            let name = format!("m{}_{name}", self.id.0);
            self.library.symbol::<unsafe extern "C" fn(*mut c_void) -> T>(&name)(self.state)
        }
    }
}

impl Drop for Instance<'_> {
    fn drop(&mut self) {
        // SAFETY: type as in `Layout::cpp`; nothing else has the instance.
        unsafe { self.of_instance::<()>("delete") }
    }
}
