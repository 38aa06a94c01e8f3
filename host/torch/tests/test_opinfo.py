"""The functions of `gpsimd_torch.functional` on the samples that PyTorch tests its own with: those of its OpInfo.

`FUNCTIONS` has the functions, each with the dtypes that it takes and the samples that it does not: an `Exclusion` says
which, why, and what is raised. An exclusion that no sample meets, or whose samples work, fails, and so does a dtype of
PyTorch's that the table does not have and the function takes.
"""

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import gpsimd_torch
import pytest
import torch
from gpsimd_torch import functional

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.opinfo.core import SampleInput

FLOATS = (torch.float32, torch.bfloat16, torch.float16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
REFUSALS = (gpsimd_torch.OperandError, gpsimd_torch.KernelError, NotImplementedError, TypeError, ValueError)


@dataclass(frozen=True)
class Exclusion:
    """Samples that a function does not take."""

    reason: str
    holds: Callable[[SampleInput], bool]
    raises: type[Exception] | tuple[type[Exception], ...]


@dataclass(frozen=True)
class Function:
    """A function, and PyTorch's of the same meaning."""

    name: str
    dtypes: tuple[torch.dtype, ...]
    opinfo: str = ""
    """Its name in `op_db`, where it is not that of the function."""
    exclusions: tuple[Exclusion, ...] = ()
    ours: Callable | None = None
    """Called in place of `functional.NAME`, where PyTorch's arguments are not the function's."""
    theirs: Callable | None = None
    """The values that are expected, where PyTorch leaves them unspecified or has another dtype."""
    variant: str = field(default="")

    def __str__(self) -> str:
        return self.name

    @property
    def info(self):
        [info] = [op for op in op_db if (op.name, op.variant_test_name) == (self.opinfo or self.name, self.variant)]
        return info

    def samples(self, dtype: torch.dtype, requires_grad: bool = False) -> list[SampleInput]:
        torch.manual_seed(0)
        return list(self.info.sample_inputs("cpu", dtype, requires_grad=requires_grad))

    def exclusion(self, sample: SampleInput) -> Exclusion | None:
        return next((exclusion for exclusion in self.exclusions if exclusion.holds(sample)), None)

    def compute(self, sample: SampleInput):
        return (self.ours or getattr(functional, self.name))(sample.input, *sample.args, **sample.kwargs)

    def expected(self, sample: SampleInput):
        return (self.theirs or self.info.op)(sample.input, *sample.args, **sample.kwargs)


def _classes_last(input, target, **options):
    """`cross_entropy`, whose classes are the last dimension."""
    return functional.cross_entropy(input.movedim(1, -1), target, **options)


def _cross_entropy(input, target, **options):
    """Losses in f32 or wider."""
    return torch.nn.functional.cross_entropy(
        input.to(torch.promote_types(input.dtype, torch.float32)), target, **options
    )


def _grid_sample(input, grid, **options):
    """Computed in f32 or wider, places in the image among it."""
    wide = torch.promote_types(input.dtype, torch.float32)
    return torch.nn.functional.grid_sample(input.to(wide), grid.to(wide), **options).to(input.dtype)


def _in_its_dtype(function: Callable) -> Callable:
    """Sums of integers in their own dtype, where PyTorch's are in int64."""
    return lambda input, dim, dtype=None: function(input, dim, dtype=dtype or input.dtype)


def _topk(input, k, dim=-1, largest=True, sorted=True):
    """Of equals the first, where PyTorch's order is unspecified."""
    values, indices = torch.sort(torch.atleast_1d(input), dim=dim, descending=largest, stable=True)
    shape = input.shape if input.dim() == 0 else torch.topk(input.detach(), k, dim).values.shape
    return tuple(result.narrow(dim, 0, k).reshape(shape) for result in (values, indices))


def _stable(function: Callable) -> Callable:
    """Sorts are always stable."""

    def sort(input, dim=-1, descending=False, stable=True):
        return function(input, dim=dim, descending=descending, stable=True)

    return sort


def _has_weight(sample):
    return "weight" in sample.kwargs


def _has_probabilities(sample):
    return sample.args[0].is_floating_point()


_ALONG_A_DIMENSION = Exclusion(
    "slices along a dimension are not compared",
    lambda sample: sample.kwargs.get("dim") is not None,
    NotImplementedError,
)


def _set_last(input, dim, index, src, *, reduce=None):
    """Of the same indices the last wins, where PyTorch leaves it open."""
    if reduce is not None or not isinstance(src, torch.Tensor):
        return torch.scatter(input, dim, index, src, **({"reduce": reduce} if reduce else {}))
    result, of_index = torch.atleast_1d(input).clone(), torch.atleast_1d(index).movedim(dim, 0)
    src = torch.atleast_1d(src)[tuple(map(slice, torch.atleast_1d(index).shape))].movedim(dim, 0)
    for row, of_row in zip(of_index, src, strict=True):
        result = result.scatter(dim, row.unsqueeze(dim).long(), of_row.unsqueeze(dim))
    return result.reshape(input.shape)


def _multiplies(sample):
    return sample.kwargs.get("reduce") == "multiply"


def _has_integer_weights(sample):
    return sample.kwargs["weights"] is not None


_NOT_BILINEAR = Exclusion(
    "interpolation is bilinear, and padding is zeros or the border",
    lambda sample: sample.kwargs["mode"] != "bilinear" or sample.kwargs["padding_mode"] == "reflection",
    NotImplementedError,
)
_NOT_FOUR_DIMENSIONS = Exclusion(
    "images have two dimensions", lambda sample: sample.input.dim() != 4, gpsimd_torch.OperandError
)

FUNCTIONS = [
    Function("argmax", (*FLOATS, *INTEGERS)),
    Function("argmin", (*FLOATS, *INTEGERS)),
    Function("argsort", (*FLOATS, *INTEGERS, torch.bool), theirs=_stable(torch.argsort)),
    Function(
        "bincount",
        INTEGERS,
        exclusions=(Exclusion("weights are f32, and PyTorch's are integers here", _has_integer_weights, TypeError),),
    ),
    Function("bucketize", (*FLOATS, *INTEGERS)),
    Function(
        "cross_entropy",
        FLOATS,
        "nn.functional.cross_entropy",
        ours=_classes_last,
        theirs=_cross_entropy,
        exclusions=(
            Exclusion("a weight for each class is not implemented", _has_weight, TypeError),
            Exclusion("targets are classes, not probabilities", _has_probabilities, gpsimd_torch.OperandError),
        ),
    ),
    Function("cumprod", (*FLOATS, *INTEGERS), theirs=_in_its_dtype(torch.cumprod)),
    Function("cumsum", (*FLOATS, *INTEGERS), theirs=_in_its_dtype(torch.cumsum)),
    Function("gather", (*FLOATS, *INTEGERS, torch.bool)),
    Function(
        "grid_sample",
        FLOATS,
        "nn.functional.grid_sample",
        theirs=_grid_sample,
        exclusions=(_NOT_BILINEAR, _NOT_FOUR_DIMENSIONS),
    ),
    Function("index_add", (*FLOATS, *INTEGERS, torch.bool)),
    Function("layer_norm", FLOATS, "nn.functional.layer_norm"),
    Function("masked_select", (*FLOATS, *INTEGERS, torch.bool)),
    Function("nonzero", (*FLOATS, *INTEGERS, torch.bool)),
    Function("one_hot", (torch.int64,), "nn.functional.one_hot"),
    Function("rms_norm", FLOATS, "nn.functional.rms_norm"),
    Function(
        "scatter",
        (*FLOATS, *INTEGERS, torch.bool),
        theirs=_set_last,
        exclusions=(Exclusion("it sets or adds", _multiplies, ValueError),),
    ),
    Function("scatter_add", (*FLOATS, *INTEGERS, torch.bool)),
    Function("searchsorted", (*FLOATS, *INTEGERS)),
    Function("sort", (*FLOATS, *INTEGERS, torch.bool), theirs=_stable(torch.sort)),
    Function("topk", (*FLOATS, *INTEGERS), theirs=_topk),
    Function("unique", (*FLOATS, *INTEGERS, torch.bool), exclusions=(_ALONG_A_DIMENSION,)),
    Function("unique_consecutive", (*FLOATS, *INTEGERS, torch.bool), exclusions=(_ALONG_A_DIMENSION,)),
]

DIFFERENTIABLE = [f for f in FUNCTIONS if f.info.supports_autograd and torch.float32 in f.dtypes]
CASES = [pytest.param(function, dtype, id=f"{function}-{dtype}") for function in FUNCTIONS for dtype in function.dtypes]


@pytest.mark.parametrize(("function", "dtype"), CASES)
def test_the_samples_of_pytorch(function: Function, dtype: torch.dtype):
    samples = function.samples(dtype)
    assert samples
    for number, sample in enumerate(samples):
        with context(sample, number):
            exclusion = function.exclusion(sample)
            if exclusion is not None:
                with pytest.raises(exclusion.raises):
                    function.compute(sample)
                continue
            found, expected = function.compute(sample), function.expected(sample)
            torch.testing.assert_close(found, expected, equal_nan=True, **tolerance(dtype))


@pytest.mark.parametrize("function", DIFFERENTIABLE, ids=str)
def test_the_gradients_are_those_of_float64(function: Function):
    for number, sample in enumerate(function.samples(torch.float32, requires_grad=True)):
        if function.exclusion(sample) is None:
            with context(sample, number):
                found, expected = gradients(function.compute, sample), gradients(function.expected, in_float64(sample))
                for found_one, expected_one in zip(found, expected, strict=True):
                    assert found_one.dtype == torch.float32
                    close = {"rtol": 1e-5, "atol": 1e-5, "equal_nan": True}
                    torch.testing.assert_close(found_one.double(), expected_one, **close)


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_every_exclusion_is_of_some_sample(function: Function):
    met = {function.exclusion(sample) for dtype in function.dtypes for sample in function.samples(dtype)}
    for exclusion in function.exclusions:
        assert exclusion in met, f"no sample of PyTorch is excluded because {exclusion.reason}"


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_other_dtypes_are_refused(function: Function):
    for dtype in function.info.dtypes - set(function.dtypes):
        sample = next(s for s in function.samples(dtype) if function.exclusion(s) is None)
        with pytest.raises(REFUSALS):
            function.compute(sample)
            pytest.fail(f"{function} takes {dtype}: add it to its dtypes")


def gradients(compute: Callable, sample: SampleInput) -> list[torch.Tensor]:
    """Those of the operands that need one, for a gradient of the outputs that is the same every time."""
    operands = [x for x in (sample.input, *sample.args, *sample.kwargs.values()) if needs_gradient(x)]
    outputs = compute(sample)
    outputs = [y for y in (outputs if isinstance(outputs, tuple) else (outputs,)) if needs_gradient(y)]
    generator = torch.Generator().manual_seed(1)
    grads = [torch.randn(output.shape, generator=generator).to(output.dtype) for output in outputs]
    return list(torch.autograd.grad(outputs, operands, grads))


def in_float64(sample: SampleInput) -> SampleInput:
    """The sample with its floats in float64, in tensors of its own."""

    def wide(value):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return value.detach().double().requires_grad_(value.requires_grad)
        return torch.float64 if value == torch.float32 else value

    kwargs = {name: wide(value) for name, value in sample.kwargs.items()}
    return SampleInput(wide(sample.input), args=tuple(map(wide, sample.args)), kwargs=kwargs)


def needs_gradient(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.requires_grad


def tolerance(dtype: torch.dtype) -> dict[str, float]:
    """PyTorch's own results are computed in the dtype or rounded more often than ours."""
    return {"rtol": 1.6e-2, "atol": 1e-2} if dtype in (torch.bfloat16, torch.float16) else {}


@contextlib.contextmanager
def context(sample: SampleInput, number: int):
    """Says which sample it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"sample {number}: {sample.summary()}")
        raise
