//! Which functions call which, and so which are recursive, and how deep the stack gets.

use std::collections::{BTreeMap, BTreeSet};

use crate::function::Function;
use crate::module::Module;

/// Functions of a module, lowered, by their index.
pub(super) type Functions = BTreeMap<u32, Function>;

/// Functions of type `ty` in the table, with their places.
pub(super) fn callable(module: &Module<'_>, ty: u32) -> impl Iterator<Item = (usize, u32)> {
    let wanted = &module.types[ty as usize];
    let slots = module.table.iter().enumerate();
    slots.filter_map(|(at, slot)| Some((at, (*slot)?))).filter(move |(_, index)| module.function_type(*index) == wanted)
}

/// Everything that a function may call, imports among it.
pub(super) fn calls(module: &Module<'_>, function: &Function) -> BTreeSet<u32> {
    let through_table = function.indirect_calls.iter().flat_map(|ty| callable(module, *ty).map(|(_, index)| index));
    function.calls.iter().copied().chain(through_table).collect()
}

/// Functions that a function calls, or may call through the table; not those that report a panic, which have a stack of
/// their own and come back to nothing.
fn callees(module: &Module<'_>, function: &Function) -> BTreeSet<u32> {
    let starts_panic = |index: &u32| {
        module.imports.get(*index as usize).is_some_and(|it| it.module == "gpsimd" && it.name == "start_panic")
    };
    if function.calls.iter().any(starts_panic) { BTreeSet::new() } else { calls(module, function) }
}

/// The deepest that the stack can get below every function; none where calls are recursive.
pub(super) fn stack_use(module: &Module<'_>, functions: &Functions) -> BTreeMap<u32, Option<u32>> {
    fn depth(
        index: u32,
        module: &Module<'_>,
        functions: &Functions,
        open: &mut BTreeSet<u32>,
        known: &mut BTreeMap<u32, Option<u32>>,
    ) -> Option<u32> {
        let Some(function) = functions.get(&index) else { return Some(0) };
        if let Some(known) = known.get(&index) {
            return *known;
        }
        if !open.insert(index) {
            return None;
        }
        let mut deepest = Some(0);
        for callee in callees(module, function) {
            deepest = deepest.zip(depth(callee, module, functions, open, known)).map(|(a, b)| a.max(b));
        }
        open.remove(&index);
        let total = deepest.map(|below| below.saturating_add(function.frame));
        known.insert(index, total);
        total
    }
    let mut known = BTreeMap::new();
    for index in functions.keys() {
        depth(*index, module, functions, &mut BTreeSet::new(), &mut known);
    }
    known
}

/// Functions that call themselves, through others or not.
pub(super) fn recursive(module: &Module<'_>, functions: &Functions) -> BTreeSet<u32> {
    let reaches_itself = |index: &u32| {
        let (mut seen, mut pending) = (BTreeSet::new(), vec![*index]);
        while let Some(function) = pending.pop().and_then(|index| functions.get(&index)) {
            for callee in callees(module, function) {
                if callee == *index {
                    return true;
                }
                if functions.contains_key(&callee) && seen.insert(callee) {
                    pending.push(callee);
                }
            }
        }
        false
    };
    functions.keys().copied().filter(reaches_itself).collect()
}
