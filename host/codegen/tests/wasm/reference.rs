//! [`Reference`]: the module as wasmi runs it.

use wasmi::{
    Config, Engine, Error, Export, F32, F64, Linker, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, TrapCode,
    Val,
};
use wasmparser::ValType;

use crate::library::Trap;

/// Only the interpreter reports it: no call is compared after one.
pub(crate) const STACK_OVERFLOW: &str = "call stack exhausted";

/// A module.
pub(crate) struct Reference {
    engine: Engine,
    module: Module,
}

/// An exported function.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) operands: Vec<ValType>,
}

/// A module with its memory and globals.
pub(crate) struct Instance {
    store: Store<StoreLimits>,
    exports: wasmi::Instance,
    memory: Memory,
}

impl Reference {
    pub(crate) fn new(wasm: &[u8]) -> Self {
        let engine = Engine::new(&Config::default());
        let module = Module::new(&engine, wasm).expect("smith makes valid modules");
        Self { engine, module }
    }

    pub(crate) fn functions(&self) -> Vec<Function> {
        let exports = self.module.exports();
        exports
            .filter_map(|export| {
                let ty = export.ty().func()?.clone();
                let operands = ty.params().iter().map(|ty| value_type(*ty)).collect();
                Some(Function { name: export.name().to_owned(), operands })
            })
            .collect()
    }

    /// With a memory that does not grow, as on a core.
    pub(crate) fn instantiate(&self) -> Instance {
        let memory = self.module.exports().find_map(|export| export.ty().memory().copied());
        let limits = StoreLimitsBuilder::new()
            .memory_size(memory.map_or(0, |memory| memory.minimum() as usize * 64 * 1024))
            .build();
        let mut store = Store::new(&self.engine, limits);
        store.limiter(|limits| limits);
        let linker = Linker::new(&self.engine);
        let instance = linker.instantiate_and_start(&mut store, &self.module).expect("segments fit");
        let memory = instance.exports(&store).find_map(Export::into_memory).expect("every module has a memory");
        Instance { store, exports: instance, memory }
    }
}

impl Instance {
    /// Calls an exported function; operands and results are bit patterns.
    ///
    /// # Errors
    /// When it traps.
    pub(crate) fn call(&mut self, name: &str, operands: &[u64]) -> Result<Vec<u64>, Trap> {
        let function = self.exports.get_func(&self.store, name).expect("exported");
        let ty = function.ty(&self.store);
        let operands: Vec<Val> = ty.params().iter().zip(operands).map(|(ty, bits)| value(*ty, *bits)).collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        function.call(&mut self.store, &operands, &mut results).map_err(|error| trap(&error))?;
        Ok(results.iter().map(bits).collect())
    }

    /// Names and bits of the exported mutable globals.
    pub(crate) fn globals(&self) -> Vec<(String, u64)> {
        let exports = self.exports.exports(&self.store);
        let globals = exports.filter_map(|export| Some((export.name().to_owned(), export.into_global()?)));
        globals
            .filter(|(_, global)| global.ty(&self.store).mutability().is_mut())
            .map(|(name, global)| (name, bits(&global.get(&self.store))))
            .collect()
    }

    /// The memory as it is now.
    pub(crate) fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }
}

fn value_type(ty: wasmi::ValType) -> ValType {
    match ty {
        wasmi::ValType::I32 => ValType::I32,
        wasmi::ValType::I64 => ValType::I64,
        wasmi::ValType::F32 => ValType::F32,
        wasmi::ValType::F64 => ValType::F64,
        other => unreachable!("smith makes no {other:?}"),
    }
}

fn value(ty: wasmi::ValType, bits: u64) -> Val {
    match value_type(ty) {
        ValType::I32 => Val::I32(bits as i32),
        ValType::I64 => Val::I64(bits as i64),
        ValType::F32 => Val::F32(F32::from_bits(bits as u32)),
        _ => Val::F64(F64::from_bits(bits)),
    }
}

fn bits(value: &Val) -> u64 {
    match value {
        Val::I32(value) => u64::from(*value as u32),
        Val::I64(value) => *value as u64,
        Val::F32(value) => u64::from(value.to_bits()),
        Val::F64(value) => value.to_bits(),
        other => unreachable!("smith makes no {other:?}"),
    }
}

/// The specification's words for a trap, which emitted sources use.
fn trap(error: &Error) -> Trap {
    let message = match error.as_trap_code().expect("a trap") {
        TrapCode::UnreachableCodeReached => "unreachable",
        TrapCode::MemoryOutOfBounds => "out of bounds memory access",
        TrapCode::TableOutOfBounds => "undefined element",
        TrapCode::IndirectCallToNull => "uninitialized element",
        TrapCode::BadSignature => "indirect call type mismatch",
        TrapCode::IntegerDivisionByZero => "integer divide by zero",
        TrapCode::IntegerOverflow => "integer overflow",
        TrapCode::BadConversionToInteger => "invalid conversion to integer",
        TrapCode::StackOverflow => STACK_OVERFLOW,
        other => unreachable!("nothing limits {other:?}"),
    };
    Trap(message.to_owned())
}
