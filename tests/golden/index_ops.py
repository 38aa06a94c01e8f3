"""Selections, indices, scans, random numbers: references and cases. Selections, copies and integers are exact; the unit of
other errors is one ulp of

    gather_rows_backward  the sum of the absolute values that are added
    index_add             likewise, with that of the table
    cumsum                likewise
    dropout               the reference
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from cases import F32_TINY, INF, NAN, Case, Numbers, Op, Result, check_close

Tensor = torch.Tensor
FLOATS = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
INTEGERS = {"i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8}


def any_numbers(numbers: Numbers, *shape: int) -> Tensor:
    """Of floats, normal ones; of integers, all there are."""
    dtype = numbers.dtype
    if dtype.is_floating_point:
        return numbers.normal(*shape)
    limits = torch.iinfo(dtype)
    return numbers.integers(*shape, low=limits.min, high=limits.max + 1).to(dtype)


def topk(x: Tensor, k: int) -> list[Result]:
    def of_row(row: list[float]) -> list[int]:
        # Python's sort is stable, and equal elements stay in their order; NaN is above all.
        return sorted(range(len(row)), key=lambda i: (not math.isnan(row[i]), 0.0 if math.isnan(row[i]) else -row[i]))[
            :k
        ]

    rows = x.double().reshape(-1, x.shape[-1]).tolist()
    indices = torch.tensor([of_row(row) for row in rows], dtype=torch.int64).reshape(*x.shape[:-1], k)
    return [Result("values", x.gather(-1, indices)), Result("indices", indices.to(torch.int32))]


def topk_cases(dtype: torch.dtype) -> Iterator[Case]:
    def case(name: str, shape: tuple[int, ...], k: int, change: Callable[[Tensor], object] = lambda x: None) -> Case:
        x = any_numbers(Numbers(name, dtype), *shape)
        change(x)
        return name, {"x": x}, {"k": k}

    yield case("primes", (5, 7, 31), 3)
    yield case("all", (3, 17), 17)
    yield case("ties", (9, 67), 20, lambda x: x.copy_((x.double() % 3).to(dtype)))
    yield case("equal_elements", (2, 100), 33, lambda x: x.fill_(7))
    if dtype == torch.float32:
        yield case("rows_longer_than_tcm", (1, 5003), 64)
        yield case("the_greatest", (11, 100), 1)
        yield case("none", (4, 9), 0)
        yield case("descending", (1, 1000), 100, lambda x: x.copy_(x.sort(descending=True).values))
        yield case("ascending", (1, 1000), 100, lambda x: x.copy_(x.sort().values))
    if dtype.is_floating_point:
        notable = torch.tensor([0.0, -0.0, INF, -INF, NAN, 1.0, -1.0, NAN, -0.0, 0.0, F32_TINY])
        yield case("notable", (3, 44), 44, lambda x: x.copy_(notable.repeat(3, 4)))


def topk_backward(dvalues: Tensor, indices: Tensor, x: Tensor) -> list[Result]:
    return [Result("dx", torch.zeros_like(x).scatter_add(-1, indices.long(), dvalues))]


def topk_backward_cases(dtype: torch.dtype) -> Iterator[Case]:
    def case(name: str, shape: tuple[int, ...], k: int) -> Case:
        numbers = Numbers(name, dtype)
        x = numbers.normal(*shape)
        indices = torch.topk(x, k).indices.to(torch.int32)
        return name, {"dvalues": numbers.normal(*shape[:-1], k), "indices": indices, "x": x}, {}

    yield case("primes", (5, 7, 31), 3)
    yield case("all", (3, 17), 17)
    if dtype == torch.float32:
        yield case("rows_longer_than_tcm", (2, 4099), 300)


def gather_rows(table: Tensor, ids: Tensor) -> list[Result]:
    return [Result("y", table[ids.long()])]


def lookup(
    name: str, dtype: torch.dtype, table: tuple[int, int], ids: tuple[int, ...]
) -> tuple[Numbers, Tensor, Tensor]:
    numbers = Numbers(name, dtype)
    return numbers, any_numbers(numbers, *table), numbers.integers(*ids, low=0, high=table[0]).to(torch.int32)


def gather_cases(dtype: torch.dtype) -> Iterator[Case]:
    def case(name: str, table: tuple[int, int], ids: tuple[int, ...]) -> Case:
        _, table, ids = lookup(name, dtype, table, ids)
        return name, {"table": table, "ids": ids}, {}

    yield case("primes", (29, 17), (3, 37))
    yield case("one_row", (1, 64), (5,))
    if dtype == torch.float32:
        yield case("no_rank", (7, 5), ())
        yield case("nothing", (7, 5), (0,))
        yield case("rows_longer_than_tcm", (3, 4603), (2,))


def gather_rows_backward(dy: Tensor, ids: Tensor, table: Tensor) -> list[Result]:
    add = lambda terms: torch.zeros(table.shape, dtype=torch.float64).index_add(
        0, ids.long().flatten(), terms.double().reshape(-1, table.shape[1])
    )
    reference = add(dy)
    own = [torch.ops.aten.embedding_dense_backward(of, ids, table.shape[0], -1, False) for of in (dy.double(), dy)]
    check_close(reference, own[0])
    return [Result("dtable", reference, add(dy.abs()), dy.dtype, own[1:])]


def named_rows(dtype: torch.dtype) -> Iterator[tuple[str, Numbers, Tensor, Tensor]]:
    """Tables, and indices of their rows that something is added to."""

    def case(name: str, table: tuple[int, int], ids: tuple[int, ...], highest: int | None = None):
        numbers, table, ids = lookup(name, dtype, table, ids)
        return name, numbers, table, ids.clamp(max=highest) if highest is not None else ids

    yield case("primes", (29, 17), (3, 37))
    yield case("always_the_same_row", (5, 3), (301,), highest=0)
    if dtype == torch.float32:
        yield case("rows_that_nobody_names", (400, 3), (11,))
        yield case("parts_of_rows", (3, 1201), (5,))
        yield case("nothing", (7, 5), (0,))


def gather_backward_cases(dtype: torch.dtype) -> Iterator[Case]:
    for name, numbers, table, ids in named_rows(dtype):
        yield name, {"dy": numbers.normal(*ids.shape, table.shape[1]), "ids": ids, "table": table}, {}


def index_add(base: Tensor, ids: Tensor, x: Tensor) -> list[Result]:
    add = lambda base, x: base.index_add(0, ids.long().flatten(), x.reshape(-1, base.shape[1]))
    reference = add(base.double(), x.double())
    return [Result("y", reference, add(base.double().abs(), x.double().abs()), x.dtype, [add(base, x)])]


def index_add_cases(dtype: torch.dtype) -> Iterator[Case]:
    for name, numbers, base, ids in named_rows(dtype):
        yield name, {"base": base, "ids": ids, "x": numbers.normal(*ids.shape, base.shape[1])}, {}


def philox(seed: int, counter: int) -> list[int]:
    """Philox4x32-10 (Salmon et al., 2011, section 3.3): a block of four numbers, of the first stream."""
    x, key = [counter & 0xFFFFFFFF, counter >> 32, 0, 0], [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        first, second = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [
            second >> 32 ^ x[1] ^ key[0],
            second & 0xFFFFFFFF,
            first >> 32 ^ x[3] ^ key[1],
            first & 0xFFFFFFFF,
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return x


def random_bits(seed: int, i: int) -> int:
    """Of element i: number i / 16 % 4 of block 16 (i / 64) + i % 16, as `gpsimd::random::Philox` documents."""
    return philox(seed, i // 64 * 16 + i % 16)[i // 16 % 4]


def dropout(x: Tensor, seed: Tensor, p: float) -> list[Result]:
    # The known answers of Random123.
    assert philox(0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    low, high = (int(half) & 0xFFFFFFFF for half in seed)
    # A number of 31 bits is below the probability.
    kept = [random_bits(low | high << 32, i) >> 1 < math.floor((1 - p) * 2**31) for i in range(x.numel())]
    mask = torch.tensor(kept, dtype=torch.bool).reshape(x.shape)
    reference = torch.where(mask, x.double() / (1 - p) if p < 1 else 0.0, 0.0)
    own = torch.where(mask, x / (1 - p) if p < 1 else torch.zeros_like(x), torch.zeros_like(x))
    return [Result("y", reference, reference, x.dtype, [own])]


def dropout_cases(dtype: torch.dtype) -> Iterator[Case]:
    def case(name: str, shape: tuple[int, ...], p: float, seed: int, values: list[float] | None = None) -> Case:
        numbers = Numbers(name, dtype)
        x = numbers.normal(*shape) if values is None else torch.tensor(values).expand(shape).to(dtype)
        halves = [seed & 0xFFFFFFFF, seed >> 32]
        seed = torch.tensor([half - (half >> 31 << 32) for half in halves], dtype=torch.int32)
        return name, {"x": x, "seed": seed}, {"p": float(torch.tensor(p, dtype=torch.float32))}

    yield case("primes", (5, 7, 31), 0.1, 1)
    yield case("half", (3, 67), 0.5, 0x0123456789ABCDEF)
    if dtype == torch.float32:
        yield case("one_element", (1,), 0.3, 0)
        yield case("a_group", (64,), 0.3, 2**64 - 1)
        yield case("more_than_tcm_holds", (1, 5003), 0.25, 7)
        yield case("nothing_is_dropped", (100,), 0.0, 3)
        yield case("everything_is_dropped", (2, 50), 1.0, 3)
        yield case("almost_everything_is_dropped", (300,), 0.99, 4)
        yield case("notable", (20, 8), 0.5, 5, [NAN, INF, -INF, 0.0, -0.0, 1e-45, 3e38, -3e38])


def cumsum(x: Tensor, reverse: bool) -> list[Result]:
    turned = lambda x: x.flip(-1) if reverse and x.ndim else x
    sums = lambda x, dtype: turned(torch.cumsum(turned(x), -1, dtype=dtype))
    if not x.dtype.is_floating_point:
        # Modulo 2^bits.
        limits = torch.iinfo(x.dtype)
        of_int64 = sums(x.long(), torch.int64)
        return [Result("y", ((of_int64 - limits.min) % 2**limits.bits + limits.min).to(x.dtype))]
    return [
        Result("y", sums(x.double(), torch.float64), sums(x.double().abs(), torch.float64), x.dtype, [sums(x, x.dtype)])
    ]


def cumsum_cases(dtype: torch.dtype) -> Iterator[Case]:
    def case(
        name: str, shape: tuple[int, ...], reverse: bool = False, change: Callable[[Tensor], object] = lambda x: None
    ) -> Case:
        x = any_numbers(Numbers(name, dtype), *shape)
        change(x)
        return name, {"x": x}, {"reverse": reverse}

    yield case("primes", (5, 7, 31))
    yield case("reversed", (3, 100), reverse=True)
    if dtype in (torch.float32, torch.int32):
        yield case("rows_longer_than_tcm", (1, 4603))
        yield case("one_element", (1,))
        yield case("rows_of_one", (9, 1))
    if dtype.is_floating_point:
        yield case("nan_and_infinities", (3, 40), change=lambda x: (x[0, 7:8].fill_(NAN), x[1, 30:31].fill_(INF)))
        yield case("ones", (1, 600), change=lambda x: x.fill_(1.0))
    if dtype == torch.int8:
        # Of one row parts of 16384 elements are shared by the cores.
        yield case("rows_of_several_parts", (1, 40_000))
        yield case("rows_of_several_parts_reversed", (1, 40_000), reverse=True)


def nonzero(x: Tensor) -> list[Result]:
    found = [i for i, value in enumerate(x.flatten().double().tolist()) if value != 0]
    indices = torch.tensor(found + [-1] * (x.numel() - len(found)), dtype=torch.int32)
    return [Result("indices", indices), Result("count", torch.tensor([len(found)], dtype=torch.int32))]


def nonzero_cases(dtype: torch.dtype) -> Iterator[Case]:
    def case(name: str, shape: tuple[int, ...], change: Callable[[Tensor], object] = lambda x: None) -> Case:
        numbers = Numbers(name, dtype)
        x = any_numbers(numbers, *shape)
        x[numbers.integers(*shape, low=0, high=3) > 0] = 0
        change(x)
        return name, {"x": x}, {}

    yield case("primes", (5, 7, 31))
    yield case("nothing", (0,))
    if dtype == torch.float32:
        yield case("all_zero", (3, 50), lambda x: x.zero_())
        yield case("no_zero", (3, 50), lambda x: x.fill_(1.0))
        yield case("notable", (2, 6), lambda x: x.copy_(torch.tensor([0.0, -0.0, NAN, 1e-45, INF, -1e-45])))
    if dtype == torch.uint8:
        # Elements are counted in parts of 16384.
        yield case("several_parts", (20_000,))


OPS = [
    Op("topk", topk, topk_cases, FLOATS | INTEGERS),
    Op("topk_backward", topk_backward, topk_backward_cases, FLOATS),
    Op("gather_rows", gather_rows, gather_cases, FLOATS | INTEGERS),
    Op("gather_rows_backward", gather_rows_backward, gather_backward_cases, FLOATS),
    Op("index_add", index_add, index_add_cases, FLOATS),
    Op("dropout", dropout, dropout_cases, FLOATS),
    Op("cumsum", cumsum, cumsum_cases, FLOATS | INTEGERS),
    Op("nonzero", nonzero, nonzero_cases, FLOATS | INTEGERS),
]
