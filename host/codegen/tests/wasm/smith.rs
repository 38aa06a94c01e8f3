//! Random modules of what rustc's output uses, and random operands for their functions.

use arbitrary::Unstructured;
use wasm_smith::{Config, InstructionKind, InstructionKinds, Module};
use wasmparser::ValType;

/// Loop iterations and calls until a function traps: none runs forever.
const FUEL: u32 = 500;
/// What a module is made of.
const BYTES: usize = 8192;

/// The same module for the same seed.
pub(crate) fn module(seed: u64) -> Vec<u8> {
    let bytes = Random::new(seed).bytes(BYTES);
    let mut module = Module::new(config(seed), &mut Unstructured::new(&bytes)).expect("enough bytes");
    module.ensure_termination(FUEL).expect("all functions are valid");
    module.to_bytes()
}

/// Whether the module stays inside of its memory and never traps, but for want of fuel.
pub(crate) fn is_trapless(seed: u64) -> bool {
    seed / 2 % 2 == 1
}

/// Half of the modules have bulk instructions, which smith only makes together with passive segments: then without any
/// segment. Half of them never trap, so that they run far; the others trap early and everywhere.
pub(crate) fn config(seed: u64) -> Config {
    let bulk_memory = seed % 2 == 1;
    let segments = if bulk_memory { 0 } else { 8 };
    Config {
        allowed_instructions: InstructionKinds::new(&[
            InstructionKind::Numeric,
            InstructionKind::Parametric,
            InstructionKind::Variable,
            InstructionKind::Memory,
            InstructionKind::Control,
        ]),
        allow_start_export: false,
        bulk_memory_enabled: bulk_memory,
        canonicalize_nans: true,
        disallow_traps: is_trapless(seed),
        exceptions_enabled: false,
        export_everything: true,
        extended_const_enabled: false,
        gc_enabled: false,
        max_data_segments: segments,
        max_element_segments: segments,
        max_funcs: 8,
        max_imports: 0,
        max_instructions: 150,
        max_memory32_bytes: 2 * 64 * 1024,
        max_table_elements: 20,
        memory64_enabled: false,
        min_funcs: 4,
        min_memories: 1,
        min_types: 4,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        ..Config::default()
    }
}

/// The generator `SplitMix64`.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count / 8).flat_map(|_| self.next().to_le_bytes()).collect()
    }

    /// Bits of an operand: zero in the first call, then edges of the types, small numbers and anything.
    pub(crate) fn operand(&mut self, ty: ValType, call: usize) -> u64 {
        const EDGES: [u64; 8] = [
            1,
            u64::MAX,
            0x7fff_ffff,
            0x8000_0000,
            0x7fff_ffff_ffff_ffff,
            0x8000_0000_0000_0000,
            0x7f80_0000,
            0x7ff0_0000_0000_0000,
        ];
        let bits = match call {
            0 => 0,
            1 => EDGES[self.next() as usize % EDGES.len()],
            2 => match ty {
                ValType::F32 => u64::from((self.next() as i8 as f32 / 4.0).to_bits()),
                ValType::F64 => (self.next() as i8 as f64 / 4.0).to_bits(),
                _ => self.next() % 1024,
            },
            _ => self.next(),
        };
        if matches!(ty, ValType::I32 | ValType::F32) { bits & 0xffff_ffff } else { bits }
    }
}
