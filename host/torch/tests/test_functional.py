"""Functions over the bundled ops: PyTorch's values, and its rules for seeds."""

import gpsimd_torch
import pytest
import torch
import torch.utils.checkpoint
from gpsimd_torch import functional


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("rows", "classes"), [(1, 1), (5, 2), (9, 1000), (3, 30522)])
def test_cross_entropy_is_that_of_float64(rows, classes, label_smoothing, reduction):
    logits = torch.randn(rows, classes, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, classes, (rows,))
    if rows > 1:
        target[1] = -100
    expected = torch.nn.functional.cross_entropy(logits, target, label_smoothing=label_smoothing, reduction=reduction)
    ours = logits.detach().float().requires_grad_()
    found = functional.cross_entropy(ours, target, label_smoothing=label_smoothing, reduction=reduction)
    torch.testing.assert_close(found.double(), expected, rtol=2e-6, atol=2e-6)
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad.double(), logits.grad, rtol=1e-5, atol=2e-7)


def test_cross_entropy_takes_more_dimensions_and_other_dtypes():
    logits, target = torch.randn(2, 3, 11), torch.randint(0, 11, (2, 3))
    expected = torch.nn.functional.cross_entropy(logits.transpose(1, 2), target, reduction="none")
    torch.testing.assert_close(functional.cross_entropy(logits, target, reduction="none"), expected)
    half = functional.cross_entropy(logits.bfloat16(), target.int(), reduction="none")
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, rtol=0.02, atol=0.02)


def test_rows_that_are_ignored_have_neither_loss_nor_gradient():
    logits = torch.tensor([[torch.inf, 1.0], [2.0, 1.0]], requires_grad=True)
    target = torch.tensor([7, 1])
    losses = functional.cross_entropy(logits, target, ignore_index=7, reduction="none")
    losses.sum().backward()
    assert losses[0] == 0 and torch.equal(logits.grad[0], torch.zeros(2))
    assert functional.cross_entropy(logits, torch.tensor([7, 7]), ignore_index=7).isnan()


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_an_error(label):
    with pytest.raises(gpsimd_torch.KernelError, match="a label is neither a class"):
        functional.cross_entropy(torch.randn(2, 3), torch.tensor([0, label]))
    with pytest.raises(gpsimd_torch.OperandError, match=r"`labels` is torch.int64, and 4294967296 at \[1\]"):
        functional.cross_entropy(torch.randn(2, 3), torch.tensor([0, 2**32]))


def test_cross_entropy_passes_opcheck_and_compiles():
    gpsimd_torch.load_library("bert_ops")
    sample = (torch.randn(4, 7, requires_grad=True), torch.tensor([0, 6, -100, 3]), -100, 0.1)
    torch.library.opcheck(torch.ops.bert_ops.cross_entropy_forward.default, sample)
    compiled = torch.compile(functional.cross_entropy, fullgraph=True)
    assert torch.equal(compiled(*sample[:2]), functional.cross_entropy(*sample[:2]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dropout_keeps_a_share_and_divides_it(dtype):
    x = torch.randn(100, 1000, dtype=dtype).abs() + 1
    y = functional.dropout(x, 0.25)
    kept = y != 0
    # Five standard deviations.
    assert abs(kept.float().mean() - 0.75) < 5 * (0.25 * 0.75 / x.numel()) ** 0.5
    torch.testing.assert_close(y[kept], (x.float() / 0.75).to(dtype)[kept])


def test_dropout_of_all_of_nothing_and_outside_of_training():
    x = torch.randn(50)
    assert functional.dropout(x, 0.0) is x and functional.dropout(x, 0.9, training=False) is x
    assert torch.equal(functional.dropout(x, 1.0), torch.zeros(50))
    with pytest.raises(ValueError, match=r"the probability is 1\.5"):
        functional.dropout(x, 1.5)


def test_the_gradient_of_dropout_has_its_mask():
    x = torch.randn(3, 777, requires_grad=True)
    y = functional.dropout(x, 0.4)
    grad = torch.randn_like(y)
    y.backward(grad)
    torch.testing.assert_close(x.grad, torch.where(y == 0, 0.0, grad / 0.6))


def test_dropout_follows_the_generator():
    x = torch.ones(1000)
    torch.manual_seed(7)
    first, second = functional.dropout(x), functional.dropout(x)
    torch.manual_seed(7)
    assert torch.equal(functional.dropout(x), first) and not torch.equal(first, second)
    own = functional.dropout(x, generator=torch.Generator().manual_seed(1))
    assert torch.equal(functional.dropout(x, generator=torch.Generator().manual_seed(1)), own)
    assert torch.equal(functional.dropout(x), second), "a generator of its own leaves the default one alone"


def test_a_checkpointed_part_drops_the_same_elements_again():
    x = torch.randn(64, 64, requires_grad=True)

    def part(x):
        return functional.dropout(torch.relu(functional.dropout(x, 0.3)), 0.3)

    def gradient(function):
        torch.manual_seed(3)
        return torch.autograd.grad(function(x).sum(), x)[0]

    checkpointed = gradient(lambda x: torch.utils.checkpoint.checkpoint(part, x, use_reentrant=False))
    assert torch.equal(checkpointed, gradient(part))


def test_dropout_passes_opcheck_and_compiles():
    gpsimd_torch.load_library("index_ops")
    seed = torch.tensor([1, -2], dtype=torch.int32)
    torch.library.opcheck(torch.ops.index_ops.dropout.default, (torch.randn(3, 4, requires_grad=True), seed, 0.5))
    compiled = torch.compile(functional.dropout, fullgraph=True)
    assert compiled(torch.ones(1000), 0.5).count_nonzero() in range(400, 600)
