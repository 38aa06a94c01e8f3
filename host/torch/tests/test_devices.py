"""Where operands are: on one device, and on another package's device only where that is asked for."""

import json
import pathlib
import shutil
import subprocess
import sys
import textwrap

import gpsimd_torch
import pytest
import torch
from gpsimd_torch import OperandError

ops = torch.ops.bert_ops
SOURCE = pathlib.Path(__file__).parent / "fixtures" / "neuron_device.cpp"


def mixed_calls() -> dict:
    """Every op with its last tensor on `meta`, and the name of that."""
    ones, row, mask = torch.ones(3, 4), torch.ones(4), torch.zeros(1, 1, 1, 4)
    scores = torch.ones(1, 1, 3, 4)
    hyper = (0.1, 0.9, 0.99, 1e-8, 0.0, 1.0)
    return {
        "bias_gelu_forward": ("bias", lambda to: ops.bias_gelu_forward(ones, row.to(to))),
        "bias_gelu_backward": ("bias", lambda to: ops.bias_gelu_backward(ones, ones, row.to(to))),
        "masked_softmax_forward": ("mask", lambda to: ops.masked_softmax_forward(scores, mask.to(to), 1.0)),
        "masked_softmax_backward": ("p", lambda to: ops.masked_softmax_backward(ones, ones.to(to), 1.0)),
        "adamw_step": ("grad", lambda to: ops.adamw_step(torch.ones(3, 4), row.to(to), *hyper)),
        "adamw_step_": ("grad", lambda to: ops.adamw_step_(torch.ones(3, 4), row.to(to), *hyper)),
    }


@pytest.mark.parametrize("op", mixed_calls())
@pytest.mark.parametrize("inference", [False, True])
def test_operands_on_two_devices_are_refused_with_their_names(op, inference):
    operand, call = mixed_calls()[op]
    name = op.removesuffix("_")
    with torch.inference_mode(inference), pytest.raises(OperandError) as error:
        call("meta")
    assert f"bert_ops::{name}: operand `{operand}` is on meta, but" in str(error.value)
    assert "is on cpu; move them to one device" in str(error.value)


def test_the_first_operand_may_be_the_one_elsewhere_and_gradients_change_nothing():
    x, bias = torch.ones(3, 4, device="meta", requires_grad=True), torch.ones(4, requires_grad=True)
    with pytest.raises(OperandError, match="operand `bias` is on cpu, but `x` is on meta"):
        ops.bias_gelu_forward(x, bias)


def test_emulation_on_a_device_of_pytorchs_own_is_refused():
    for device in ("cpu", "meta", "cuda", "xla", "", "neuron:0", None):
        with pytest.raises(ValueError, match="expected the type of a device that another package brings"):
            gpsimd_torch.emulate_on(device)


# A device `neuron`, in a process of its own: PyTorch can have one such device.

COMPUTE = """
    import json, os, types, torch, gpsimd_torch
    torch.utils.rename_privateuse1_backend("neuron")
    torch._register_device_module("neuron", types.SimpleNamespace(
        is_available=lambda: True, device_count=lambda: 1, current_device=lambda: 0,
        get_amp_supported_dtype=lambda: [torch.bfloat16],
    ))
    torch.ops.load_library({library!r})
    gpsimd_torch.load_library("bert_ops")
    gpsimd_torch.load_library({torch_ops!r})
    ops, torch_ops = torch.ops.bert_ops, torch.ops.torch_ops
    x, bias, results = torch.randn(3, 19), torch.randn(19), {{}}
    there = x.to("neuron"), bias.to("neuron")

    def error(function):
        try:
            return repr(function())
        except Exception as error:
            return f"{{type(error).__name__}}: {{error}}"

    results["refused"] = error(lambda: ops.bias_gelu_forward(*there))
    results["refused in place"] = error(lambda: torch_ops.scale_(there[0], 2.0))
    results["unchanged"] = torch.equal(there[0].cpu(), x)
    results["another name"] = gpsimd_torch.emulate_on("other")
    results["still refused"] = error(lambda: ops.bias_gelu_forward(*there))

    gpsimd_torch.emulate_on("neuron")
    y = ops.bias_gelu_forward(*there)
    results["result"] = [y.device.type, torch.equal(y.cpu(), ops.bias_gelu_forward(x, bias))]
    results["mixed"] = error(lambda: ops.bias_gelu_forward(there[0], bias))
    results["mixed with meta"] = error(lambda: ops.bias_gelu_forward(there[0], bias.to("meta")))

    leaves = [t.clone().requires_grad_() for t in there]
    ops.bias_gelu_forward(*leaves).sum().backward()
    right = [t.clone().requires_grad_() for t in (x, bias)]
    ops.bias_gelu_forward(*right).sum().backward()
    results["gradients"] = [torch.allclose(a.grad.cpu(), b.grad, rtol=1e-6) for a, b in zip(leaves, right)]

    scaled = there[0].clone()
    torch_ops.scale_(scaled, 2.0)
    results["in place"] = [torch.equal(scaled.cpu(), 2 * x), scaled._version > 0]
    weight = torch.ones(3, 19, device="neuron", requires_grad=True)
    product = (weight * scaled).sum()
    torch_ops.scale_(scaled, 2.0)
    results["saved"] = error(product.backward)
    results["leaf"] = error(lambda: torch_ops.scale_(weight, 2.0))
    results["inference"] = error(lambda: torch.inference_mode()(lambda: ops.bias_gelu_forward(*there).device.type)())
    print(json.dumps(results), flush=True)
    # Without PyTorch's tear-down: 2.15 has been seen to abort there on the thread that autograd has for a device.
    os._exit(0)
"""


@pytest.fixture(scope="module")
def computed(tmp_path_factory, torch_ops) -> dict:
    """What `COMPUTE` says."""
    from gpsimd_torch.ops import _loaded
    from torch.utils import cpp_extension

    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("a device is C++")
    library = tmp_path_factory.mktemp("device") / "neuron_device.so"
    paths = [f"-I{path}" for path in cpp_extension.include_paths()]
    paths += [f"-L{path}" for path in cpp_extension.library_paths()]
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    command = [compiler, "-std=c++20", "-O0", "-shared", "-fPIC", abi, "-o", library, SOURCE, *paths]
    subprocess.run([*command, "-ltorch_cpu", "-lc10"], check=True)
    program = textwrap.dedent(COMPUTE).format(library=str(library), torch_ops=str(_loaded["torch_ops"].path))
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


def test_ops_on_another_packages_device_are_refused_with_its_name(computed):
    for case in ("refused", "still refused"):
        assert computed[case].startswith("LibraryError: bert_ops::bias_gelu_forward does not run on device `neuron`")
        assert 'gpsimd_torch.emulate_on("neuron")' in computed[case]
    assert computed["refused in place"].startswith("LibraryError: torch_ops::scale does not run on device `neuron`")
    assert computed["unchanged"]


def test_emulation_there_is_the_emulator_here(computed):
    assert computed["result"] == ["neuron", True]
    assert computed["gradients"] == [True, True]
    assert computed["inference"] == "'neuron'"


def test_emulation_there_is_in_place_too(computed):
    assert computed["in place"] == [True, True]
    assert "modified by an inplace operation" in computed["saved"]
    assert "a leaf Variable that requires grad is being used in an in-place operation" in computed["leaf"]


def test_operands_there_and_here_are_refused(computed):
    for case, where in (("mixed", "cpu"), ("mixed with meta", "meta")):
        assert computed[case] == (
            f"OperandError: bert_ops::bias_gelu_forward: operand `bias` is on {where}, but `x` is on neuron:0; "
            "move them to one device"
        )
