"""Output sizes of ops as expressions of their operands' sizes, where `torch.compile` keeps sizes as symbols.

A shape function is compiled code for sizes that are numbers. It is called with several numbers in place of every
symbol, and the simplest expression that fits all answers is taken: an operand's size, a constant, `a * size + b`, a
quotient, sums and products of two sizes. The launch itself always asks the shape function with the real sizes.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from gpsimd_torch._native import OperandError

Size = int | torch.SymInt
Type = tuple[str, Sequence[Size]]
ShapeFunction = Callable[[list[tuple[str, list[int]]]], list[tuple[str, list[int]]]]
# A size or what is made of sizes, and its values in all answers.
Measure = tuple[Size, list[int]]

# What stands for the symbols. Small and large numbers, to notice a function that behaves otherwise beyond some size;
# below 65536, the largest size of a tensor with many dimensions; primes, so that no product or quotient is another's.
_PRIMES = (
    (5, 7, 11, 13, 17, 19, 23, 29),
    (149, 151, 157, 163, 167, 173, 179, 181),
    (37, 41, 43, 47, 53, 59, 61, 67),
    (1009, 1013, 1019, 1021, 1031, 1033, 1039, 1049),
    (307, 311, 313, 317, 331, 337, 347, 349),
    (2003, 2011, 2017, 2027, 2029, 2039, 2053, 2063),
    (83, 89, 97, 101, 103, 107, 109, 113),
    (419, 421, 431, 433, 439, 443, 449, 457),
)
# Factors for functions that take multiples of a tile only.
_SCALES = (1, 16, 128)
# Fewer answers than this say too little.
_LEAST = 4


class _Answer(NamedTuple):
    """What a shape function says to operands of these types."""

    operands: list[tuple[str, list[int]]]
    outputs: list[tuple[str, list[int]]]


def output_types(op: str, shape: ShapeFunction, types: list[Type]) -> list[Type]:
    """The dtype names and sizes of the outputs of `op`, whose shape function is `shape`; sizes may be symbols.

    Where no expression fits, the sizes are fixed to what they are now, with a warning: a program is then compiled once
    per size. Raises what `shape` raises.
    """
    if not any(isinstance(size, torch.SymInt) for _, sizes in types for size in sizes) or not _symbols(types):
        return shape(_numbers(types))
    answers = _answers(shape, types)
    if not answers and _equate(types):
        answers = _answers(shape, types)
    if not answers:
        types = _fixed(shape, types)
        answers = _answers(shape, types)
    found = _fit(types, answers)
    if found is not None:
        return found
    result = shape(_numbers(types))
    warnings.warn(
        f"{op}: its outputs' sizes are no simple expression of its operands' sizes (a size, or a sum, product or "
        "quotient of two), so that a program with it is compiled once for every size",
        stacklevel=2,
    )
    return result


def _expression(size: Size) -> Any:
    """The size as a sympy expression; PyTorch has no public way to read it."""
    import sympy

    return size.node.expr if isinstance(size, torch.SymInt) else sympy.Integer(size)


def _symbols(types: list[Type]) -> list[Any]:
    found = {symbol for _, sizes in types for size in sizes for symbol in _expression(size).free_symbols}
    return sorted(found, key=str)


def _numbers(types: list[Type]) -> list[tuple[str, list[int]]]:
    """The sizes of this moment; `int` makes the program depend on them."""
    return [(dtype, [int(size) for size in sizes]) for dtype, sizes in types]


def _equate(types: list[Type]) -> bool:
    """Make one symbol of sizes that are equal now, with a condition of the program; whether there are any.

    For operands that must have equal sizes where PyTorch does not know yet that they have.
    """
    sizes = list({str(_expression(size)): size for _, sizes in types for size in sizes}.values())
    pairs = [(a, b) for a, b in itertools.combinations(sizes, 2) if _hint(a) is not None and _hint(a) == _hint(b)]
    return any([bool(a == b) for a, b in pairs])


def _fixed(shape: ShapeFunction, types: list[Type]) -> list[Type]:
    """Fix as few sizes as the shape function demands, such as the 3 rows of an optimizer's state."""
    sizes = [size for _, sizes in types for size in sizes]
    # Sizes that are a symbol, of which PyTorch knows the number of this moment.
    hints = {_expression(size): _hint(size) for size in sizes if _expression(size).is_symbol}
    known = [symbol for symbol, hint in hints.items() if hint is not None]
    for count in range(1, len(known) + 1):
        for fixed in itertools.combinations(known, count):
            if _answers(shape, types, {symbol: hints[symbol] for symbol in fixed}):
                return [(dtype, [int(s) if _expression(s) in fixed else s for s in sizes]) for dtype, sizes in types]
    return types


def _hint(size: Size) -> int | None:
    """The number that a size is now, if PyTorch knows it, without a condition of the program."""
    return size.node.hint if isinstance(size, torch.SymInt) else size


def _answers(shape: ShapeFunction, types: list[Type], fixed: Mapping[Any, int] = MappingProxyType({})) -> list[_Answer]:
    """What the shape function says to sizes tried, but for those that it refuses; `fixed` symbols have one value."""
    symbols = [symbol for symbol in _symbols(types) if symbol not in fixed]
    for scale in _SCALES:
        answers = []
        for number, primes in enumerate(_PRIMES):
            # In turns ascending and descending, so that the larger of two sizes is not always the same.
            values = [scale * primes[i % len(primes)] for i in range(len(symbols))][:: (-1) ** number]
            chosen = {**fixed, **dict(zip(symbols, values, strict=True))}
            tried = [(dtype, [int(_expression(size).xreplace(chosen)) for size in sizes]) for dtype, sizes in types]
            with contextlib.suppress(OperandError):
                answers.append(_Answer(tried, shape(tried)))
        if len(answers) >= _LEAST:
            return answers
    return []


def _fit(types: list[Type], answers: list[_Answer]) -> list[Type] | None:
    if len({tuple((dtype, len(sizes)) for dtype, sizes in answer.outputs) for answer in answers}) != 1:
        return None
    values = zip(*(_measures(answer.operands) for answer in answers), strict=True)
    measures = list(zip(_measures(types), map(list, values), strict=True))
    found = []
    for output, (dtype, _) in enumerate(answers[0].outputs):
        answered = zip(*(answer.outputs[output][1] for answer in answers), strict=True)
        sizes = [_expressed(measures, list(values)) for values in answered]
        if None in sizes:
            return None
        found.append((dtype, sizes))
    return found


def _measures(types: list[Type]) -> list[Size]:
    """What output sizes are made of: the operands' sizes, and how many elements each has."""
    return [size for _, sizes in types for size in sizes] + [
        functools.reduce(operator.mul, sizes, 1) for _, sizes in types
    ]


def _expressed(measures: list[Measure], output: list[int]) -> Size | None:
    """An expression of the measures that has the values `output`."""
    for size, values in measures:
        if values == output:
            return size
    if len(set(output)) == 1:
        return output[0]
    for measure in measures:
        found = _linear(measure, output)
        found = _quotient(measure, output) if found is None else found
        if found is not None:
            return found
    for (size, values), (other, others) in itertools.product(measures, repeat=2):
        for combine in (operator.add, operator.sub, operator.mul):
            found = _linear((combine(size, other), list(map(combine, values, others))), output)
            if found is not None:
                return found
    return None


def _linear(measure: Measure, output: list[int]) -> Size | None:
    """`a * size + b`."""
    size, values = measure
    if values[0] == values[1]:
        return None
    a, remainder = divmod(output[1] - output[0], values[1] - values[0])
    b = output[0] - a * values[0]
    fits = remainder == 0 and a != 0 and all(a * v + b == o for v, o in zip(values, output, strict=True))
    return a * size + b if fits else None


def _quotient(measure: Measure, output: list[int]) -> Size | None:
    """`size / n`, rounded down or up."""
    size, values = measure
    # The largest value says most about the divisor; rounding moves it by less than one.
    value, quotient = max(zip(values, output, strict=True))
    for n in range(max(value // (quotient + 1), 2), value // max(quotient - 1, 1) + 1) if quotient > 0 else ():
        if all(v // n == o for v, o in zip(values, output, strict=True)):
            return size // n
        if all(-(-v // n) == o for v, o in zip(values, output, strict=True)):
            return (size + (n - 1)) // n
    return None
