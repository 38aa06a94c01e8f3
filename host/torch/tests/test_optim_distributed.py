"""AdamW under PyTorch's distributed wrappers, in two processes: the losses are those of `torch.optim.AdamW`.

PyTorch repeats its own losses bit for bit here, and so must ours. The two kinds differ by the roundings of an update
(test_optim_memory.py), of which 6 steps of 1e-3 leave less than 1e-6 in a loss of about 1.
"""

import socket

import gpsimd_torch
import pytest
import torch
import torch.distributed as dist
from gpsimd_torch.optim import AdamW
from torch import nn

STEPS, LR = 6, 1e-3


def ddp(net, kind):
    net = nn.parallel.DistributedDataParallel(net, gradient_as_bucket_view=True)
    return net, kind(net.parameters(), lr=LR), None


def zero(net, kind):
    from torch.distributed.optim import ZeroRedundancyOptimizer

    net = nn.parallel.DistributedDataParallel(net)
    return net, ZeroRedundancyOptimizer(net.parameters(), kind, parameters_as_bucket_view=True, lr=LR), None


def fsdp(net, kind, **options):
    from torch.distributed.fsdp import FullyShardedDataParallel

    net = FullyShardedDataParallel(net, device_id=torch.device("cpu"), **options)
    return net, kind(net.parameters(), lr=LR), None


def fsdp_with_original_parameters(net, kind):
    return fsdp(net, kind, use_orig_params=True)


def local_sgd(net, kind):
    from torch.distributed.algorithms.model_averaging.averagers import PeriodicModelAverager

    return net, kind(net.parameters(), lr=LR), PeriodicModelAverager(period=2, warmup_steps=0)


def losses(wrap, kind, rank):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(30, 50), nn.Tanh(), nn.Linear(50, 7), nn.Tanh(), nn.Linear(7, 1))
    net, optimizer, averager = wrap(net, kind)
    found = []
    for step in range(STEPS):
        optimizer.zero_grad()
        x = torch.linspace(-1 - step, 1 + rank, 4 * 30).view(4, 30)
        loss = (net(x) - 1).square().mean()
        loss.backward()
        optimizer.step()
        if averager is not None:
            averager.average_parameters(net.parameters())
        found.append(loss.item())
    return found


def process(rank, port, queue):
    gpsimd_torch.set_emulation("fast")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    for name, wrap in WRAPPERS.items():
        kinds = (torch.optim.AdamW, torch.optim.AdamW, AdamW, AdamW)
        queue.put((rank, name, [losses(wrap, kind, rank) for kind in kinds]))
    dist.destroy_process_group()


WRAPPERS = {
    "ddp": ddp,
    "zero": zero,
    "fsdp": fsdp,
    "fsdp_with_original_parameters": fsdp_with_original_parameters,
    "local_sgd": local_sgd,
}


@pytest.fixture(scope="module")
def found():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    queue = torch.multiprocessing.get_context("spawn").SimpleQueue()
    context = torch.multiprocessing.spawn(process, (port, queue), nprocs=2, join=False)
    while not context.join(timeout=240):
        pass
    return {(rank, name): all_losses for rank, name, all_losses in (queue.get() for _ in range(2 * len(WRAPPERS)))}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_losses_are_those_of_torch(found, wrapper):
    for rank in range(2):
        torch_once, torch_again, once, again = found[rank, wrapper]
        assert torch_once == torch_again and once == again
        assert torch_once[-1] != torch_once[0], "it trains"
        assert max(abs(a - b) for a, b in zip(torch_once, once, strict=True)) <= 1e-6


def test_fsdp2_is_refused_by_name():
    code = """
import os, torch, torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.distributed.device_mesh import init_device_mesh
from gpsimd_torch.optim import AdamW
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0", RANK="0", WORLD_SIZE="1")
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
net = torch.nn.Linear(3, 2)
fully_shard(net, mesh=init_device_mesh("cpu", (1,)))
try:
    AdamW(net.named_parameters())
except TypeError as error:
    print(error)
"""
    import subprocess
    import sys

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert "parameter 'weight': expected a plain tensor, found DTensor" in ran.stdout, ran.stderr
