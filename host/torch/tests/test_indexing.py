"""Elements and rows at indices: what OpInfo's samples do not have. Ties, duplicates, gradients, errors, experts."""

import gpsimd_torch
import pytest
import torch
from gpsimd_torch import functional

gpsimd_torch.load_library("scatter_ops")
OPS = torch.ops.scatter_ops


def test_of_the_same_indices_the_last_wins_and_has_the_gradient():
    x, src = torch.randn(2, 5, requires_grad=True), torch.randn(2, 4, requires_grad=True)
    index = torch.tensor([[0, 3, 0, 0], [4, 4, 1, 2]])
    y = functional.scatter(x, 1, index, src)
    expected = x.detach().clone()
    for row in range(2):
        for j in range(4):
            expected[row, index[row, j]] = src[row, j]
    assert torch.equal(y, expected)
    grad = torch.randn(2, 5)
    of_x, of_src = torch.autograd.grad(y, (x, src), grad)
    wins = torch.tensor([[False, True, False, True], [False, True, True, True]])
    assert torch.equal(of_src, grad.gather(1, index) * wins)
    assert torch.equal(of_x, grad.scatter(1, index, 0.0))


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_indices_may_be_fewer_than_there_are_rows(dim):
    x, src = torch.randn(4, 5, 6, requires_grad=True), torch.randn(2, 2, 3, requires_grad=True)
    index = torch.stack([torch.randperm(4)[:2] for _ in range(6)]).reshape(2, 2, 3)
    for ours, theirs in [
        (functional.scatter_add(x, dim, index, src), torch.scatter_add(x, dim, index, src)),
        (functional.gather(x, dim, index), torch.gather(x, dim, index)),
        (functional.scatter(x, dim, index, 2.5), torch.scatter(x, dim, index, 2.5)),
    ]:
        torch.testing.assert_close(ours, theirs)
        grad = torch.randn_like(ours)
        operands = [x, src] if ours.shape == x.shape else [x]
        found = torch.autograd.grad(ours, operands, grad, allow_unused=True)
        expected = torch.autograd.grad(theirs, operands, grad, allow_unused=True)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (functional.gather, ()),
        (functional.scatter, (torch.randn(2, 3),)),
        (functional.scatter, (1.5,)),
        (functional.scatter_add, (torch.randn(2, 3),)),
    ],
)
@pytest.mark.parametrize("index", [-1, 4])
def test_an_index_out_of_range_is_an_error_with_its_place(function, arguments, index):
    indices = torch.tensor([[0, 1, 2], [3, index, 0]])
    with pytest.raises(
        gpsimd_torch.KernelError, match=f"core ., at .*: index {index}, element 4 of `index`, is out of range"
    ):
        function(torch.randn(2, 4), 1, indices, *arguments)


def test_other_indices_out_of_range_are_errors_too():
    with pytest.raises(gpsimd_torch.KernelError, match="index 3, element 1 of `ids`, is out of range: there are 3"):
        functional.index_add(torch.randn(3, 2), 0, torch.tensor([0, 3]), torch.randn(2, 2))
    with pytest.raises(gpsimd_torch.KernelError, match="index -1, element 0 of `x`, is out of range: there are 3"):
        functional.one_hot(torch.tensor([-1, 2]), 3)
    with pytest.raises(gpsimd_torch.KernelError, match="index -2, element 1 of `x`, is out of range: there are 6"):
        functional.bincount(torch.tensor([5, -2]))
    with pytest.raises(gpsimd_torch.KernelError, match="index -5, element 0 of `x`, is out of range: there are 0"):
        functional.bincount(torch.tensor([-5, -3]))
    with pytest.raises(gpsimd_torch.KernelError, match="index 4, element 3 of `experts`, is out of range: there are 4"):
        functional.moe_permute(torch.randn(2, 3), torch.tensor([[0, 1], [2, 4]]), 4)
    with pytest.raises(gpsimd_torch.OperandError, match=r"`index` is torch.int64, and 4294967296 at \[0, 1\]"):
        functional.gather(torch.randn(1, 3), 1, torch.tensor([[0, 2**32]]))
    with pytest.raises(gpsimd_torch.OperandError, match=r"bincount: `input` is torch.int64, and 2147483648 at \[1\]"):
        functional.bincount(torch.tensor([0, 2**31]))


def test_shapes_that_do_not_fit_are_refused():
    x, index = torch.randn(2, 3), torch.zeros(2, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"`index` is \(2, 3\), expected as many dimensions as \(1, 3\)"):
        functional.gather(x[:1], 1, index)
    with pytest.raises(ValueError, match=r"`index` is \(2, 3\), expected none larger than those of `src`, \(2, 2\)"):
        functional.scatter_add(x, 1, index, torch.randn(2, 2))
    with pytest.raises(ValueError, match=r"with 2 in dimension 0, one for each index"):
        functional.index_add(x, 0, torch.tensor([0, 1]), torch.randn(3, 3))
    with pytest.raises(ValueError, match="`value` is 300, expected one from 0 to 255"):
        functional.scatter(x.to(torch.uint8), 1, index, 300)


def test_large_integers_are_set_exactly():
    x, index = torch.zeros(1, 3, dtype=torch.int32), torch.tensor([[1]])
    assert functional.scatter(x, 1, index, 2**24 + 1).tolist() == [[0, 2**24 + 1, 0]]


def test_counts_are_those_of_pytorch_whatever_the_remainder():
    for count in (0, 1, 7, 8, 1003):
        x = torch.randint(0, 50, (count,))
        assert torch.equal(functional.bincount(x, minlength=60), torch.bincount(x, minlength=60))
        weights = torch.rand(count)
        found = functional.bincount(x, weights)
        torch.testing.assert_close(found, torch.bincount(x, weights) if count > 0 else torch.zeros(0))


def test_the_greatest_number_may_be_anywhere():
    x = torch.zeros(200_000, dtype=torch.int64)
    for place in (0, 100_001, 199_999):
        x[place] = 7 + place
        for numbers in (x, x.int()):
            assert torch.equal(functional.bincount(numbers), torch.bincount(numbers))
    # Of several that do not fit the first is told, wherever the threads find them.
    x[[150_000, 70_000]] = 2**31
    with pytest.raises(gpsimd_torch.OperandError, match=r"2147483648 at \[70000\] does not fit in i32"):
        functional.bincount(x)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (5, 30)])
def test_a_one_hot_tensor_is_one_of_int64_like_any_other(shape):
    x = torch.randint(0, 9, shape)
    found, expected = functional.one_hot(x, 9), torch.nn.functional.one_hot(x, 9)
    assert found.dtype == torch.int64 and found.is_contiguous() and torch.equal(found, expected)
    assert torch.equal(found.add_(1), expected + 1)
    compiled = torch.compile(lambda x: functional.one_hot(x, 9), backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), expected)
    assert functional.one_hot(x[..., :0] if shape else x.new_empty(0), 0).shape[-1] == 0


def test_counting_passes_opcheck():
    gpsimd_torch.load_library("counting_ops")
    x = torch.tensor([[2, 0], [1, 1]])
    torch.library.opcheck(torch.ops.counting_ops.bincount.default, (x, 3))
    torch.library.opcheck(torch.ops.counting_ops.one_hot.default, (x, 3, 2))


def test_the_first_extreme_is_found_in_one_long_row():
    x = torch.zeros(100_003)
    x[[40_000, 70_000]] = 1
    x[[30_000, 99_999]] = -1
    assert functional.argmax(x) == 40_000 and functional.argmin(x) == 30_000
    x[[50_000, 60_000]] = torch.nan
    assert functional.argmax(x) == 50_000 and functional.argmin(x) == 50_000
    with pytest.raises(gpsimd_torch.OperandError, match="there is no greatest of no elements"):
        functional.argmax(torch.empty(3, 0), 1)


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_the_gradient_of_products_is_that_of_pytorch_in_float64(zeros):
    x = torch.randn(3, 4, 40).add_(2)
    x[..., torch.arange(zeros) * 7 + 5] = 0
    ours, theirs = x.clone().requires_grad_(), x.double().requires_grad_()
    grad = torch.randn_like(x)
    for dim in (0, 2):
        found = torch.autograd.grad(functional.cumprod(ours, dim), ours, grad)[0]
        expected = torch.autograd.grad(torch.cumprod(theirs, dim), theirs, grad.double())[0]
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


def permuted_by_pytorch(tokens, indices, num_experts):
    """As Megatron-LM's `permute` with indices."""
    order = torch.argsort(indices.reshape(-1), stable=True)
    return (
        tokens.index_select(0, order // indices.shape[1]),
        order,
        torch.bincount(indices.reshape(-1), minlength=num_experts),
    )


def unpermuted_by_pytorch(permuted, order, probs):
    rows = torch.zeros(probs.numel(), permuted.shape[1], dtype=permuted.dtype).index_copy(0, order, permuted)
    return (rows.reshape(*probs.shape, -1) * probs.unsqueeze(-1)).sum(1)


@pytest.mark.parametrize(("tokens", "width", "choices", "experts"), [(1, 1, 1, 1), (50, 7, 2, 8), (300, 16, 4, 60)])
def test_tokens_are_permuted_and_back_as_by_pytorch(tokens, width, choices, experts):
    x, probs = torch.randn(tokens, width, requires_grad=True), torch.rand(tokens, choices, requires_grad=True)
    indices = torch.stack([torch.randperm(experts)[:choices] for _ in range(tokens)])
    permuted, order, counts = functional.moe_permute(x, indices, experts)
    expected = permuted_by_pytorch(x, indices, experts)
    for found_one, expected_one in zip((permuted, order, counts), expected, strict=True):
        assert torch.equal(found_one, expected_one)
    scales = torch.linspace(1, 2, experts).repeat_interleave(counts).unsqueeze(-1)
    y = functional.moe_unpermute(permuted * scales, order, probs)
    expected = unpermuted_by_pytorch(expected[0] * scales, order, probs)
    torch.testing.assert_close(y, expected)
    grad = torch.randn_like(y)
    torch.testing.assert_close(
        torch.autograd.grad(y, (x, probs), grad), torch.autograd.grad(expected, (x, probs), grad)
    )


def test_an_expert_has_no_more_tokens_than_its_capacity():
    x, indices = torch.arange(5.0).unsqueeze(1), torch.tensor([[0], [1], [0], [0], [1]])
    permuted, order, counts = functional.moe_permute(x, indices, 3, capacity=2)
    assert permuted.flatten().tolist() == [0, 2, 1, 4] and order.tolist() == [0, 2, 1, 4]
    assert counts.tolist() == [2, 2, 0]
    y = functional.moe_unpermute(permuted, order, torch.full((5, 1), 0.5))
    assert y.flatten().tolist() == [0, 0.5, 1, 0, 2], "what was dropped counts nothing"


def test_ops_pass_opcheck():
    x, index, src = (
        torch.randn(2, 5, requires_grad=True),
        torch.tensor([[0, 3], [1, 1]]),
        torch.randn(2, 2, requires_grad=True),
    )
    for op, sample in [
        (OPS.gather, (x, index)),
        (OPS.gather_backward, (src.detach(), index, x.detach())),
        (OPS.scatter, (x, index, src)),
        (OPS.scatter_fill, (x, index, 1.5)),
        (OPS.scatter_add, (x, index, src)),
        (OPS.argmax, (x.detach(), False)),
        (OPS.cumprod, (x,)),
        (OPS.expert_order, (index, 4)),
    ]:
        torch.library.opcheck(op.default, sample)


def test_functions_compile():
    x, index, src = torch.randn(3, 5), torch.randint(0, 5, (3, 4)), torch.randn(3, 4)
    for function, arguments in [
        (functional.gather, (x, 1, index)),
        (functional.scatter, (x, 1, index, src)),
        (functional.scatter_add, (x, 0, index.clamp(max=2), src)),
        (functional.index_add, (x, 0, torch.tensor([0, 2, 0]), x)),
        (functional.argmin, (x, 0)),
        (functional.cumprod, (x, 1)),
        (functional.moe_permute, (x, index, 5)),
    ]:
        found = torch.compile(function, fullgraph=True)(*arguments)
        torch.testing.assert_close(tuple(found), tuple(function(*arguments)), rtol=0, atol=0)
