"""Processes and devices: everything in which training on a CPU, on XLA, and in several processes differs.

What a GPU script has to change for Trainium is here: the device and the backend (`start`), the loader
(`Process.loader`), the optimizer step (`Process.step`). The rest of the trainer calls nothing of CUDA.
"""

import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from .errors import TrainerError

# On XLA a loss is fetched this rarely: every fetch waits for the device and undoes the overlap of tracing,
# transfer and computation.
XLA_STEPS_PER_FETCH = 10
# Where the driver puts its device nodes.
DEVICES = Path("/dev")


@dataclass
class Process:
    """One process of a training job and its device."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process prints and saves."""
        return self.rank == 0

    @property
    def is_xla(self) -> bool:
        """Whether tensors live on an XLA device."""
        return self.device.type == "xla"

    def say(self, text: str):
        """Prints a line, once per job."""
        if self.is_main:
            print(text, flush=True)

    def seed(self, seed: int, *, own: bool):
        """Seeds torch: alike in all processes for the weights, each its `own` for dropout."""
        seed = (seed + 7919 * self.rank if own else seed) % 2**32
        torch.manual_seed(seed)
        if self.is_xla:
            import torch_xla.core.xla_model as xm

            xm.set_rng_state(seed, device=str(self.device))

    def distribute(self, model: torch.nn.Module) -> torch.nn.Module:
        """Wraps the model so that `backward` averages gradients; on XLA `step` does that."""
        if self.world == 1 or self.is_xla:
            return model
        # Gradients stay in DDP's buckets: no copy back, and the optimizer reads them there.
        return torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)

    def ease_fallback(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer):
        """Cuts XLA's graphs before layers with a Rust op where those run through its CPU fallback.

        The fallback computes what the op's operands depend on and keeps no other result, so the next op's
        graph contains all of that again: without cuts, two layers take minutes to compile. Stock runs are cut
        alike, as every cut also advances XLA's random generator. On a Neuron host nothing is cut.
        """
        if not self.is_xla or os.environ["PJRT_DEVICE"] != "CPU":
            return
        import torch_xla
        from transformers.models.bert.modeling_bert import BertIntermediate, BertSelfAttention

        def cut(*_):
            torch_xla.sync()

        for module in model.modules():
            if isinstance(module, (BertIntermediate, BertSelfAttention)):
                module.register_forward_pre_hook(cut)
                module.register_full_backward_pre_hook(cut)
        optimizer.register_step_pre_hook(cut)

    def loader(self, batches: Iterable) -> Iterable:
        """Batches on the device; on XLA a background thread moves them and marks the steps."""
        if not self.is_xla:
            return batches
        from torch_xla.distributed.parallel_loader import MpDeviceLoader

        return MpDeviceLoader(batches, self.device)

    def step(self, optimizer: torch.optim.Optimizer):
        """One optimizer step; on XLA the gradients of all processes are reduced first."""
        if self.is_xla:
            import torch_xla.core.xla_model as xm

            xm.optimizer_step(optimizer)
        else:
            optimizer.step()

    def fetches_loss_after(self, step: int, *, warm_up: int, steps: int) -> bool:
        """Whether losses are read after `step` (counted from 1)."""
        return not self.is_xla or step <= warm_up or step == steps or step % XLA_STEPS_PER_FETCH == 0

    def sums(self, values: list[float]) -> list[float]:
        """Each value summed over all processes."""
        if self.world == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float32 if self.is_xla else torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return tensor.cpu().tolist()

    def barrier(self):
        """Waits for all processes."""
        if self.world > 1:
            dist.barrier()

    def end(self):
        """Leaves the job in order."""
        if dist.is_initialized():
            dist.destroy_process_group()


def start(device: str) -> Process:
    """Joins the job that torchrun describes in the environment, if any, and opens `device` (cpu, xla or neuron)."""
    rank, world = _from_environment("RANK", 0), _from_environment("WORLD_SIZE", 1)
    if device == "neuron":
        _expect_neuron()
    if device != "cpu":
        return _start_xla(rank, world)
    _share_cpus(_from_environment("LOCAL_WORLD_SIZE", world))
    if world > 1:
        dist.init_process_group("gloo")
    return Process(torch.device("cpu"), rank, world)


def _expect_neuron():
    """Raises `TrainerError` unless this is a Neuron host with an SDK."""
    for module in ("torch_neuronx", "torch_xla"):
        if importlib.util.find_spec(module) is None:
            raise _no_neuron(f"this Python has no module {module}")
    runtime = os.environ.get("PJRT_DEVICE", "NEURON")
    if runtime != "NEURON":
        raise TrainerError(f"--device neuron with PJRT_DEVICE={runtime}: unset it, or use --device xla")
    if not any(DEVICES.glob("neuron*")):
        raise _no_neuron(f"there is no {DEVICES}/neuron0: no Trn1 or Inf2 instance, or no driver")


def _no_neuron(problem: str) -> TrainerError:
    return TrainerError(
        f"--device neuron needs a Trn1 or Inf2 instance with the Neuron SDK, but {problem}; `cargo xtask doctor "
        "--neuron` shows all that is missing; --device xla runs the same on XLA's CPU device"
    )


def _start_xla(rank: int, world: int) -> Process:
    if importlib.util.find_spec("torch_xla") is None:
        raise TrainerError(
            "--device xla needs torch_xla, which is not installed; install torch_xla 2.9 or use --device cpu"
        )
    neuron = importlib.util.find_spec("torch_neuronx") is not None
    runtime = os.environ.setdefault("PJRT_DEVICE", "NEURON" if neuron else "CPU")
    if runtime == "CPU" and world > 1:
        raise TrainerError(
            f"--device xla with {world} processes needs NeuronCores: XLA's CPU processes do not find each "
            "other; use --device cpu for several processes on a CPU, or start one"
        )
    if neuron:
        import torch_neuronx  # noqa: F401  registers the Neuron runtime with PyTorch/XLA
    import torch_xla

    if world > 1:
        import torch_xla.distributed.xla_backend

        dist.init_process_group("xla")
    return Process(torch_xla.device(), rank, world)


def _share_cpus(processes: int):
    """Gives each process its part of the machine's CPUs.

    torchrun sets OMP_NUM_THREADS to 1 where nobody set it, so 1 cannot be told from its default; anything
    larger was chosen by a person and stands.
    """
    if processes > 1 and os.environ.get("OMP_NUM_THREADS", "1") == "1":
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))


def _from_environment(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise TrainerError(
            f"the environment variable {name} is {text!r}; expected a number, as torchrun sets it"
        ) from None
