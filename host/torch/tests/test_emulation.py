"""Emulation mode `auto`: the first launch of an op with dtypes and shapes is checked, later ones are fast."""

import subprocess
import sys
import threading

import gpsimd_torch
import pytest
import torch
from gpsimd_torch import KernelError

CHECKED, FAST = "checked", "fast"
# The pool of a fast launch, all of a core's TCM; a checked one has what the library says that it gets on the device.
FAST_POOL = 65536


@pytest.fixture(autouse=True)
def auto(torch_ops):
    torch.manual_seed(0)
    with gpsimd_torch.emulation("auto"):
        yield


def pool(size: int, *more: int) -> str:
    """How a launch on operands of these sizes was run: its TCM pool tells."""
    found = torch.ops.torch_ops.pool_size(torch.empty(size, *more)).flatten()[0].item()
    return FAST if found == FAST_POOL else CHECKED


def test_auto_is_the_default():
    program = 'import gpsimd_torch; print(gpsimd_torch.set_emulation("fast"))'
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "auto"


def test_the_first_launch_of_a_shape_is_checked_and_later_ones_are_fast():
    assert [pool(101), pool(101), pool(101)] == [CHECKED, FAST, FAST]
    assert [pool(102), pool(101), pool(102)] == [CHECKED, FAST, FAST]
    assert [pool(1, 101), pool(101, 1), pool(1, 101)] == [CHECKED, CHECKED, FAST]


def test_the_other_modes_are_what_they_were():
    with gpsimd_torch.emulation("checked"):
        assert [pool(103), pool(103)] == [CHECKED, CHECKED]
    with gpsimd_torch.emulation("fast"):
        assert [pool(104), pool(104)] == [FAST, FAST]
    assert [pool(103), pool(104)] == [CHECKED, CHECKED], "only mode auto remembers what it has checked"


def test_dtypes_and_the_form_in_place_are_checked_apart(faulty_ops):
    # Checked mode alone sees that the kernel stores TCM that nobody wrote.
    op = torch.ops.faulty_ops.stores_unwritten_tcm
    for dtype in (torch.float32, torch.bfloat16):
        with pytest.raises(KernelError, match="was never written"):
            op(torch.ones(130, dtype=dtype))


def test_a_launch_that_failed_is_checked_again(faulty_ops):
    x = torch.ones(131)
    for _ in range(3):
        with pytest.raises(KernelError, match="was never written"):
            torch.ops.faulty_ops.stores_unwritten_tcm(x)


def test_memory_is_bounded():
    assert pool(1, 1) == CHECKED
    assert pool(1, 1) == FAST
    for size in range(2, 4200):
        pool(1, size)
    assert pool(1, 1) == CHECKED, "the first shapes are forgotten"
    assert pool(1, 4199) == FAST


def test_threads_share_what_was_checked():
    barrier, results = threading.Barrier(8), []

    def run() -> None:
        barrier.wait()
        for size in range(201, 221):
            results.append((size, pool(size)))
            results.append((size, pool(size)))

    threads = [threading.Thread(target=run) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for size in range(201, 221):
        found = [result for at, result in results if at == size]
        assert len(found) == 16
        assert found.count(CHECKED) >= 1
        # Each thread's second launch comes after a launch that has passed.
        assert found.count(FAST) >= 8


def test_results_are_the_same_bits_in_every_mode():
    x, b = torch.randn(64, 771), torch.randn(771)
    expected = None
    for mode in ("auto", "auto", "checked", "fast"):
        with gpsimd_torch.emulation(mode):
            found = torch.ops.bert_ops.bias_gelu_forward(x, b)
        expected = found if expected is None else expected
        assert torch.equal(found, expected)
