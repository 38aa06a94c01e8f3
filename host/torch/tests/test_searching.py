"""Functions over what is sorted: PyTorch's values, dtypes and rules for ties."""

import gpsimd_torch
import pytest
import torch
from gpsimd_torch import functional

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]


def of_dtype(shape, dtype):
    """Numbers of which some are the same."""
    x = (torch.randn(shape) * 8).round()
    return x.abs().to(dtype) if dtype == torch.uint8 else x.to(dtype)


@pytest.mark.parametrize("out_int32", [False, True])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("of_sorted", "of_values"),
    [
        ((0,), (3,)),
        ((7,), ()),
        ((1,), (2, 0)),
        ((100,), (4, 5)),
        ((5, 40), (5, 3)),
        ((2, 3, 600), (2, 3, 50)),
        ((5000,), (300,)),
    ],
)
def test_searchsorted_is_that_of_pytorch(of_sorted, of_values, dtype, right, out_int32):
    sequence, values = of_dtype(of_sorted, dtype).sort().values, of_dtype(of_values, dtype)
    found = functional.searchsorted(sequence, values, right=right, out_int32=out_int32)
    expected = torch.searchsorted(sequence, values, right=right, out_int32=out_int32)
    assert found.dtype == expected.dtype and torch.equal(found, expected)
    if sequence.dim() == 1:
        found = functional.bucketize(values, sequence, right=right, out_int32=out_int32)
        assert torch.equal(found, torch.bucketize(values, sequence, right=right, out_int32=out_int32))


def test_searchsorted_takes_numbers_sides_and_sorters():
    sequence, values = torch.randn(3, 50), torch.randn(3, 7)
    sorter = sequence.argsort()
    for side in ("left", "right", None):
        found = functional.searchsorted(sequence, values, side=side, sorter=sorter)
        assert torch.equal(found, torch.searchsorted(sequence, values, side=side, sorter=sorter))
    assert functional.searchsorted(torch.tensor([1, 3, 5]), 3).item() == 1
    assert functional.bucketize(3, torch.tensor([1, 3, 5]), right=True).item() == 2


def test_a_nan_is_behind_all_numbers():
    sequence = torch.tensor([-torch.inf, 0.0, torch.inf, torch.nan, torch.nan])
    values = torch.tensor([torch.nan, torch.inf, -0.0, -torch.inf])
    assert functional.searchsorted(sequence, values).tolist() == [3, 2, 1, 0]
    assert functional.searchsorted(sequence, values, right=True).tolist() == [5, 3, 2, 1]
    assert functional.searchsorted(sequence[:3], values).tolist() == torch.searchsorted(sequence[:3], values).tolist()


def test_searchsorted_refuses_what_pytorch_refuses():
    x = torch.randn(2, 3)
    with pytest.raises(ValueError, match="expected one side"):
        functional.searchsorted(x, x, right=True, side="left")
    with pytest.raises(ValueError, match='the side is "up"'):
        functional.searchsorted(x, x, side="up")
    with pytest.raises(ValueError, match="`sorter` has shape"):
        functional.searchsorted(x, x, sorter=torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="`boundaries` has 2 dimensions"):
        functional.bucketize(x, x)
    with pytest.raises(gpsimd_torch.OperandError, match="`values`"):
        functional.searchsorted(x, torch.randn(3, 3))
    with pytest.raises(gpsimd_torch.OperandError, match="`values`"):
        functional.searchsorted(x, x.int())


def test_searchsorted_passes_opcheck_and_compiles():
    gpsimd_torch.load_library("sort_ops")
    sequence, values = torch.randn(4, 50).sort().values, torch.randn(4, 7)
    torch.library.opcheck(torch.ops.sort_ops.searchsorted.default, (sequence, values, True))
    compiled = torch.compile(functional.searchsorted, fullgraph=True)
    assert torch.equal(compiled(sequence, values), functional.searchsorted(sequence, values))


@pytest.mark.parametrize("dtype", [*DTYPES, torch.bool])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (5, 7), (2, 3, 20000)])
def test_runs_are_those_of_pytorch(shape, dtype):
    x = torch.randn(shape).gt(1) if dtype == torch.bool else of_dtype(shape, dtype)
    for function, theirs in [
        (functional.unique_consecutive, torch.unique_consecutive),
        (functional.unique, torch.unique),
    ]:
        found = function(x, return_inverse=True, return_counts=True)
        expected = theirs(x, return_inverse=True, return_counts=True)
        for found_one, expected_one in zip(found, expected, strict=True):
            assert found_one.dtype == expected_one.dtype and torch.equal(found_one, expected_one)
        assert torch.equal(function(x), expected[0])
        assert torch.equal(function(x, return_counts=True)[1], expected[2])
        assert torch.equal(function(x, return_inverse=True)[1], expected[1])


def test_slices_along_a_dimension_are_refused():
    for function in (functional.unique, functional.unique_consecutive):
        with pytest.raises(NotImplementedError, match="`dim` is 0, expected None"):
            function(torch.zeros(2, 2), dim=0)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.bool])
@pytest.mark.parametrize(
    ("shape", "of_mask"), [((), ()), ((0,), (1,)), ((5, 7), (7,)), ((3, 1), (1, 4)), ((2, 20000),) * 2]
)
def test_masked_select_is_that_of_pytorch(shape, of_mask, dtype):
    x = torch.randn(shape).gt(1) if dtype == torch.bool else of_dtype(shape, dtype)
    mask = torch.randn(of_mask).gt(0)
    found = functional.masked_select(x, mask)
    assert found.dtype == dtype and torch.equal(found, torch.masked_select(x, mask))


def test_the_gradient_of_masked_select_goes_back_to_where_elements_were():
    x, mask = torch.randn(3, 5000, requires_grad=True), torch.randn(3, 5000).gt(0.5)
    values = functional.masked_select(x, mask)
    grad = torch.randn_like(values)
    expected = torch.autograd.grad(torch.masked_select(x, mask), x, grad)[0]
    assert torch.equal(torch.autograd.grad(values, x, grad)[0], expected)
    with pytest.raises(TypeError, match=r"`mask` is torch.uint8, expected torch.bool"):
        functional.masked_select(x, mask.byte())


def test_selections_pass_opcheck():
    gpsimd_torch.load_library("sort_ops")
    x = torch.randn(4, 50, requires_grad=True)
    torch.library.opcheck(torch.ops.sort_ops.masked_select.default, (x, x > 0))
    torch.library.opcheck(torch.ops.sort_ops.unique_consecutive.default, (x.detach(), 1, 0))
