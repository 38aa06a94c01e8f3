"""Sizes that `torch.compile` and `torch.export` keep as symbols go through an op as symbols."""

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.export import Dim

bert_ops = torch.ops.bert_ops


@pytest.fixture(autouse=True)
def fresh(torch_ops):
    torch.manual_seed(0)
    torch._dynamo.reset()


def compilations(function, *operands: tuple[Tensor, ...], backend: str = "aot_eager") -> int:
    """How often `function` is compiled for these operands; its results are those of eager calls."""
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(function, backend=counter, fullgraph=True, dynamic=True)
    for tensors in operands:
        torch.testing.assert_close(compiled(*tensors), function(*tensors), rtol=0, atol=0)
    return counter.frame_count


# At least 2: PyTorch itself compiles anew for sizes of 0 and 1. No two sizes of the first call are equal, for which it
# would take one symbol.
CASES = {
    "gelu": (
        lambda x, b: bert_ops.bias_gelu_forward(x, b),
        lambda n: (torch.randn(n, 3, 19), torch.randn(19)),
    ),
    "softmax": (
        lambda s, m: bert_ops.masked_softmax_forward(s, m, 0.5),
        lambda n: (torch.randn(n, 13, n + 20, n + 5), torch.zeros(n, 1, 1, n + 5)),
    ),
    "softmax backward": (
        lambda dp, p: bert_ops.masked_softmax_backward(dp, p, 0.5),
        lambda n: (torch.randn(n, 31), torch.randn(n, 31)),
    ),
    "adamw": (
        lambda state, grad: bert_ops.adamw_step(state, grad, 0.1, 0.9, 0.99, 1e-8, 0.0, 1.0),
        lambda n: (torch.rand(3, n), torch.randn(n)),
    ),
    "flatten": (lambda x: torch.ops.torch_ops.flatten(x), lambda n: (torch.randn(n, 30, n + 40),)),
    "join": (lambda a, b: torch.ops.torch_ops.join(a, b), lambda n: (torch.randn(n), torch.randn(2 * n + 90))),
    "quarter": (lambda x: torch.ops.torch_ops.quarter(x), lambda n: (torch.randn(n + 8),)),
    "a product of sizes": (
        lambda x: torch.ops.torch_ops.flatten(x.reshape(-1)[:, None] * x.new_ones(2)),
        lambda n: (torch.randn(n, 30),),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_program_is_for_all_sizes(case):
    function, operands = CASES[case]
    assert compilations(lambda *t: function(*(x * 2 for x in t)) + 1, *map(operands, (5, 6, 9, 17))) == 1


def test_a_training_step_is_compiled_once_for_all_batches():
    bias, weight = torch.randn(19, requires_grad=True), torch.randn(19, 19, requires_grad=True)
    counter = CompileCounterWithBackend("aot_eager")

    @torch.compile(backend=counter, fullgraph=True, dynamic=True)
    def loss(x: Tensor, mask: Tensor) -> Tensor:
        y = bert_ops.bias_gelu_forward(x @ weight, bias)
        p = bert_ops.masked_softmax_forward(y[:, None], mask[:, None, None], 0.5)
        return (p**2).sum()

    for batch in (2, 3, 6, 8):
        loss(torch.randn(batch, 11, 19), torch.zeros(batch, 19)).backward()
    assert counter.frame_count == 1
    assert bias.grad.isfinite().all()


def test_inductor_takes_the_symbols():
    operands = [(torch.randn(n, 19), torch.randn(19)) for n in (5, 6, 9)]
    assert compilations(lambda x, b: bert_ops.bias_gelu_forward(x * 2, b) + 1, *operands, backend="inductor") == 1


def test_a_function_of_sizes_that_is_no_expression_compiles_per_size_and_says_so():
    operands = [(torch.randn(n),) for n in (5, 60, 170)]
    with pytest.warns(UserWarning, match="torch_ops::head: its outputs' sizes are no simple expression"):
        assert compilations(lambda x: torch.ops.torch_ops.head(x) * 2, *operands) == len(operands)


def test_operands_that_do_not_fit_are_refused_in_the_same_words():
    def function(x: Tensor, bias: Tensor) -> Tensor:
        return bert_ops.bias_gelu_forward(x, bias)

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True, dynamic=True)
    with pytest.raises(Exception, match="operand `bias` has 7 elements in dimension 0, expected 9"):
        compiled(torch.randn(5, 9), torch.randn(7))


# Export.


class Gelu(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(19))

    def forward(self, x: Tensor) -> Tensor:
        return bert_ops.bias_gelu_forward(x * 2, self.bias)


class Softmax(nn.Module):
    def forward(self, scores: Tensor, mask: Tensor) -> Tensor:
        return bert_ops.masked_softmax_forward(scores, mask, 0.5)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("decompose", [False, True])
def test_a_batch_that_is_dynamic_is_exported(strict, decompose):
    module = Gelu()
    program = torch.export.export(module, (torch.randn(4, 19),), dynamic_shapes={"x": {0: Dim("batch")}}, strict=strict)
    if decompose:
        program = program.run_decompositions()
    assert any("bias_gelu_forward" in str(node.target) for node in program.graph.nodes)
    for batch in (1, 9, 33):
        x = torch.randn(batch, 19)
        assert torch.equal(program.module()(x), module(x))


def test_two_operands_share_a_dynamic_batch():
    module, batch, keys = Softmax(), Dim("batch"), Dim("keys")
    operands = torch.randn(4, 2, 3, 19), torch.zeros(4, 1, 1, 19)
    shapes = {"scores": {0: batch, 3: keys}, "mask": {0: batch, 3: keys}}
    program = torch.export.export(module, operands, dynamic_shapes=shapes)
    operands = torch.randn(7, 2, 3, 40), torch.zeros(7, 1, 1, 40)
    assert torch.equal(program.module()(*operands), module(*operands))


def test_batches_that_must_be_equal_are_found_to_be():
    operands = torch.randn(4, 2, 3, 19), torch.zeros(4, 1, 1, 19)
    shapes = {"scores": {0: Dim.AUTO}, "mask": {0: Dim.AUTO}}
    program = torch.export.export(Softmax(), operands, dynamic_shapes=shapes)
    operands = torch.randn(7, 2, 3, 19), torch.zeros(7, 1, 1, 19)
    assert torch.equal(program.module()(*operands), Softmax()(*operands))
    shapes = {"scores": {0: Dim("a")}, "mask": {0: Dim("b")}}
    with pytest.raises(Exception, match="must always be equal"):
        torch.export.export(Softmax(), (torch.randn(4, 2, 3, 19), torch.zeros(4, 1, 1, 19)), dynamic_shapes=shapes)


def test_an_exported_program_is_saved_and_loaded(tmp_path):
    module = Gelu()
    program = torch.export.export(module, (torch.randn(4, 19),), dynamic_shapes={"x": {0: Dim("batch")}})
    torch.export.save(program, tmp_path / "gelu.pt2")
    x = torch.randn(6, 19)
    assert torch.equal(torch.export.load(tmp_path / "gelu.pt2").module()(x), module(x))


def test_meta_tensors_have_shapes_and_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = bert_ops.bias_gelu_forward(torch.empty(3, 5, device="meta"), torch.empty(5, device="meta"))
    assert (result.shape, result.device.type) == ((3, 5), "meta")
