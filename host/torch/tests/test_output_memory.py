"""The memory of large outputs: kept for later outputs, and never for two at a time."""

import gc
import subprocess
import sys
import threading

import gpsimd_torch
import pytest
import torch
from test_processes import in_a_forked_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere outputs are PyTorch's")

INDEX_OPS = gpsimd_torch.load_library("index_ops")
BERT_OPS = gpsimd_torch.load_library("bert_ops")
# 4 MiB of f32.
X = torch.linspace(-2, 2, 1 << 20).view(1024, 1024)
FIRST, SECOND = torch.arange(1024), torch.arange(1024).flip(0)


def rows(ids, x=X):
    return torch.ops.index_ops.gather_rows(x, ids)


def test_the_memory_of_an_output_that_died_is_the_next_ones():
    output = rows(FIRST)
    address = output.data_ptr()
    del output
    assert rows(FIRST).data_ptr() == address


def test_memory_stays_with_what_uses_it():
    output = rows(FIRST)
    view, numpy = output[5:7], output.numpy()
    saved = torch.ops.bert_ops.bias_gelu_forward(output, torch.zeros(1024))
    del output
    gc.collect()
    others = [rows(SECOND) for _ in range(4)]
    assert len({other.data_ptr() for other in others} | {view.untyped_storage().data_ptr(), saved.data_ptr()}) == 6
    assert torch.equal(view, X[5:7])
    assert torch.equal(torch.from_numpy(numpy), X)
    assert all(torch.equal(other, X.flip(0)) for other in others)


def test_a_smaller_output_takes_no_memory_far_too_large():
    large = rows(torch.arange(4096) % 1024)
    address = large.data_ptr()
    del large
    small = rows(FIRST[:512])
    assert small.data_ptr() != address
    assert rows(torch.arange(4096) % 1024).data_ptr() == address


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int32, torch.int16, torch.uint8])
def test_outputs_of_every_dtype_are_ordinary_tensors(dtype):
    x = torch.arange(2048 * 1024).remainder(120).view(2048, 1024).to(dtype)
    output = rows(torch.arange(2048).flip(0), x)
    assert torch.equal(output, x.flip(0))
    assert (output.dtype, output.shape, output.stride()) == (dtype, x.shape, x.stride())
    assert output.is_contiguous()
    assert not output._is_view()
    output += 1
    assert torch.equal(output.clone(), x.flip(0) + 1)
    assert torch.equal(output.share_memory_(), x.flip(0) + 1)


def test_outputs_take_part_in_autograd_and_inference_mode():
    x = X.clone().requires_grad_()
    output = rows(FIRST, x)
    output.square_().sum().backward()
    assert torch.equal(x.grad, 2 * X)
    with torch.inference_mode():
        assert rows(FIRST).is_inference()
    assert not rows(FIRST).is_inference()


def test_threads_never_share_memory():
    failures = []

    def work(number):
        ids = FIRST.roll(number)
        expected = X.roll(number, 0)
        failures.extend(number for _ in range(30) if not torch.equal(rows(ids), expected))

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_forked_process_has_memory_of_its_own():
    kept = rows(FIRST)
    address = rows(SECOND).data_ptr()

    def work():
        torch.set_num_threads(1)
        output = rows(FIRST)
        assert output.data_ptr() == address
        assert torch.equal(output, X)
        output.zero_()
        kept.zero_()

    in_a_forked_process(work)
    assert torch.equal(kept, X)
    assert torch.equal(rows(SECOND), X.flip(0))


PROGRAM = """
import resource, gpsimd_torch, torch
gpsimd_torch.load_library("index_ops")
x, ids = torch.zeros(4096, 1024), torch.arange(4096)
gather = torch.ops.index_ops.gather_rows
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
gather(x, ids)
before = resident()
outputs = [gather(x, ids) for _ in range(8)]
del outputs
print((resident() - before) >> 20)
"""


def kept_megabytes(limit):
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"GPSIMD_OUTPUT_CACHE_BYTES": limit},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return ran


def test_no_more_is_kept_than_the_limit_allows():
    # Eight outputs of 16 MiB died; one was kept before.
    assert abs(int(kept_megabytes(str(1 << 30)).stdout) - 112) < 14
    assert abs(int(kept_megabytes(str(64 << 20)).stdout) - 48) < 14
    assert abs(int(kept_megabytes("0").stdout)) < 14


def test_a_limit_that_is_no_number_is_an_error():
    error = kept_megabytes("2 GB").stderr
    assert (
        'GPSIMD_OUTPUT_CACHE_BYTES is "2 GB", expected a number of bytes (0 to keep nothing of large outputs)' in error
    )


def test_more_memory_than_there_is_is_an_error():
    x = torch.zeros(1, 1 << 22)
    ids = torch.zeros(1, dtype=torch.int32).expand(1 << 26)
    with pytest.raises(MemoryError, match="there are no 1125899906842624 bytes for an output"):
        rows(ids, x)
