"""Functions that sample: their distributions, PyTorch's shapes and errors, and its rules for seeds."""

import math

import gpsimd_torch
import pytest
import torch
from gpsimd_torch import functional

FLOATS = [torch.float32, torch.bfloat16, torch.float16]


def assert_distributed(ids, probabilities):
    """Chi-square is below what it exceeds with probability 1e-6.

    With n degrees of freedom and t = -log(1e-6) that is n + 2 sqrt(n t) + 2 t (Laurent, Massart, 2000, lemma 1).
    """
    probabilities = probabilities.double()
    counts, expected = torch.bincount(ids.flatten(), minlength=len(probabilities)), probabilities * ids.numel()
    assert (counts[expected == 0] == 0).all() and (expected[expected > 0] >= 10).all()
    statistic = ((counts - expected) ** 2 / expected)[expected > 0].sum().item()
    freedom, t = int((expected > 0).sum()) - 1, -math.log(1e-6)
    assert statistic <= freedom + 2 * math.sqrt(freedom * t) + 2 * t


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_draws_with_replacement_are_distributed_by_their_weights(dtype):
    weights = torch.tensor([3.0, 0.0, 1.0, 0.5, 5.5], dtype=dtype)
    ids = functional.multinomial(weights, 50_000, replacement=True)
    assert ids.shape == (50_000,) and ids.dtype == torch.int64
    assert_distributed(ids, weights / 10)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_first_draw_without_replacement_is_distributed_by_the_weights(dtype):
    weights = torch.tensor([3.0, 0.0, 1.0, 0.5, 5.5], dtype=dtype)
    ids = functional.multinomial(weights.expand(30_000, 5), 4)
    assert torch.equal(ids.sort().values, torch.tensor([0, 2, 3, 4]).expand(30_000, 4)), "each is drawn once"
    assert_distributed(ids[:, 0], weights / 10)
    # The second, after the last category was the first.
    assert_distributed(ids[ids[:, 0] == 4, 1], torch.tensor([3.0, 0.0, 1.0, 0.5, 0.0]) / 4.5)


def test_more_than_topk_takes_are_drawn_without_replacement():
    ids = functional.multinomial(torch.rand(2, 3000) + 0.1, 2500)
    assert all(len(row.unique()) == 2500 for row in ids)


@pytest.mark.parametrize("replacement", [False, True])
def test_draws_follow_the_generator(replacement):
    weights = torch.rand(3, 200)

    def draw(generator=None):
        return functional.multinomial(weights, 50, replacement, generator=generator)

    torch.manual_seed(7)
    first, second = draw(), draw()
    torch.manual_seed(7)
    assert torch.equal(draw(), first) and not torch.equal(first, second)
    own = draw(torch.Generator().manual_seed(1))
    assert torch.equal(draw(torch.Generator().manual_seed(1)), own)
    assert torch.equal(draw(), second), "a generator of its own leaves the default one alone"


def test_multinomial_refuses_what_pytorch_refuses():
    for weights, count, message in [
        (torch.rand(2, 2, 2), 1, "`input` has 3 dimensions"),
        (torch.rand(3), 0, "`num_samples` is 0"),
        (torch.rand(3), 4, "at most the 3 categories"),
    ]:
        with pytest.raises(ValueError, match=message):
            functional.multinomial(weights, count)
        with pytest.raises(RuntimeError):
            torch.multinomial(weights, count)
    with pytest.raises(gpsimd_torch.KernelError, match="negative, infinite or NaN"):
        functional.multinomial(torch.tensor([1.0, -1.0]), 1, replacement=True)
    with pytest.raises(gpsimd_torch.KernelError, match="fewer positive weights"):
        functional.multinomial(torch.tensor([1.0, 0.0]), 2)
    with pytest.raises(gpsimd_torch.KernelError, match="sum of a row's weights is 0"):
        functional.multinomial(torch.zeros(2), 1, replacement=True)


def kept(logits, p, temperature, top_k):
    """The probabilities of those that are kept, in f64."""
    order = logits.double().argsort(descending=True, stable=True)
    if top_k:
        order = order[:top_k]
    weights = (logits.double()[order] / temperature).softmax(0)
    before = weights.cumsum(0) - weights
    weights = weights * ((before < p) | (torch.arange(len(order)) == 0))
    return torch.zeros(len(logits), dtype=torch.float64).scatter(0, order, weights / weights.sum())


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("p", "temperature", "top_k"), [(1.0, 1.0, 0), (0.6, 1.0, 0), (1.0, 0.5, 4), (0.8, 2.0, 5), (0.0, 1.0, 0)]
)
def test_tokens_are_drawn_among_the_likeliest(p, temperature, top_k, dtype):
    logits = torch.tensor([1.0, -0.5, 2.0, 1.0, -torch.inf, 0.5, 1.0], dtype=dtype)
    ids = functional.top_p(logits.expand(2, 5000, 7), p, temperature=temperature, top_k=top_k)
    assert ids.shape == (2, 5000) and ids.dtype == torch.int64
    assert_distributed(ids, kept(logits, p, temperature, top_k))


def test_of_a_vocabulary_only_the_nucleus_is_drawn():
    logits = torch.randn(20, 30_000) * 4
    nucleus = torch.stack([kept(row, 0.9, 1.0, 0) > 0 for row in logits])
    for _ in range(5):
        assert nucleus.gather(1, functional.top_p(logits, 0.9)[:, None]).all()
    assert torch.equal(functional.top_p(logits, temperature=0.0), logits.argmax(-1))
    assert torch.equal(functional.top_p(logits, top_k=1), logits.argmax(-1))


def test_top_p_refuses_what_is_out_of_range():
    logits = torch.zeros(3)
    for arguments, message in [
        ({"p": 1.5}, "`p` is 1.5"),
        ({"temperature": -1.0}, "`temperature` is -1.0"),
        ({"top_k": -1}, "`top_k` is -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            functional.top_p(logits, **arguments)
    with pytest.raises(gpsimd_torch.KernelError, match="a row of `logits` has a NaN"):
        functional.top_p(torch.tensor([0.0, torch.nan]))


def nms(boxes, scores, threshold):
    """`torchvision.ops.nms`, from its documentation."""
    kept = []
    for i in scores.sort(descending=True, stable=True).indices.tolist():
        if not any(iou(boxes[i], boxes[j]) > threshold for j in kept):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int64)


def iou(a, b):
    sides = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0)
    both = sides[0] * sides[1]
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("count", [0, 1, 40, 150])
def test_nms_is_that_of_torchvision(count, threshold):
    corner = torch.rand(count, 2) * 5
    boxes, scores = torch.cat([corner, corner + 0.5 + torch.rand(count, 2)], 1), (torch.rand(count) * 20).round()
    found = functional.nms(boxes, scores, threshold)
    assert found.dtype == torch.int64 and torch.equal(found, nms(boxes, scores, threshold))


def test_nms_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"`boxes` has shape \(3,\), expected \(N, 4\)"):
        functional.nms(torch.zeros(3), torch.zeros(3), 0.5)
    with pytest.raises(ValueError, match=r"`scores` has shape \(2,\), expected \(3,\)"):
        functional.nms(torch.zeros(3, 4), torch.zeros(2), 0.5)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding_mode", ["zeros", "border"])
@pytest.mark.parametrize(
    ("sizes", "points"), [((2, 3, 7, 5), (4, 6)), ((1, 2, 50, 70), (40, 90)), ((2, 1, 1, 1), (3, 3))]
)
def test_grid_sample_is_that_of_float64(sizes, points, padding_mode, align_corners):
    input = torch.randn(sizes, requires_grad=True)
    # So that places are exact in f32: in f64 a point would be between other pixels.
    grid = ((torch.rand(sizes[0], *points, 2) * 2.6 - 1.3) * 1024).round().div(1024).requires_grad_()
    options = {"padding_mode": padding_mode, "align_corners": align_corners}
    found = functional.grid_sample(input, grid, **options)
    wide = [tensor.detach().double().requires_grad_() for tensor in (input, grid)]
    expected = torch.nn.functional.grid_sample(*wide, **options)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    grad = torch.randn_like(found)
    ours = torch.autograd.grad(found, (input, grid), grad)
    theirs = torch.autograd.grad(expected, wide, grad.double())
    for ours_one, theirs_one in zip(ours, theirs, strict=True):
        torch.testing.assert_close(ours_one.double(), theirs_one, rtol=1e-5, atol=1e-4)


def test_grid_sample_refuses_other_modes():
    x, grid = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 2)
    with pytest.raises(NotImplementedError, match='the mode is "nearest"'):
        functional.grid_sample(x, grid, "nearest")
    with pytest.raises(NotImplementedError, match='the padding mode is "reflection"'):
        functional.grid_sample(x, grid, padding_mode="reflection")
    with pytest.raises(gpsimd_torch.OperandError, match="`grid`"):
        functional.grid_sample(x, torch.zeros(2, 1, 1, 2))


def test_sampling_passes_opcheck_and_compiles():
    gpsimd_torch.load_library("sampling_ops")
    ops, seed, x = torch.ops.sampling_ops, torch.tensor([1, -2], dtype=torch.int32), torch.rand(4, 50)
    torch.library.opcheck(ops.multinomial.default, (x, seed, 5))
    torch.library.opcheck(ops.race.default, (x, seed, 5))
    torch.library.opcheck(ops.top_p.default, (x, seed, 1.0, 0.5, 0))
    torch.library.opcheck(ops.nms.default, (x, 0.5))
    image, grid = torch.rand(1, 2, 4, 5, requires_grad=True), torch.rand(1, 3, 3, 2, requires_grad=True)
    torch.library.opcheck(ops.grid_sample.default, (image, grid, True, False))
    for function in (functional.multinomial, functional.top_p):
        assert torch.compile(function, fullgraph=True)(x, 1).shape == function(x, 1).shape
