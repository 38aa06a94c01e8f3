"""Processes and devices: everything in which training on a CPU, on XLA, and in several processes differs.

What a GPU script has to change for Trainium is here: the device and the backend (`start`), the loader
(`Process.loader`), the optimizer step (`Process.step`). The rest of the trainer calls nothing of CUDA.
"""

import contextlib
import importlib.util
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
import torch
import torch.distributed as dist

from .errors import JobFailure, TrainerError
from .peers import Peers

# On XLA a loss is fetched this rarely: every fetch waits for the device and undoes the overlap of tracing,
# transfer and computation.
XLA_STEPS_PER_FETCH = 10
# Of a checkpoint, from process 0 to the others: bounds the memory that gloo copies into.
BROADCAST_BYTES = 1 << 28
# Where the driver puts its device nodes.
DEVICES = Path("/dev")


@dataclass
class Process:
    """One process of a training job and its device."""

    device: torch.device
    rank: int = 0
    world: int = 1
    peers: Peers | None = None
    # For what is not a tensor of the model: gloo, also where the default group is XLA's.
    _control: dist.ProcessGroup | None = None

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

    def random_state(self) -> dict:
        """The state of the generators that dropout draws from, of this process."""
        state = {"torch": torch.get_rng_state()}
        if self.is_xla:
            import torch_xla
            import torch_xla.core.xla_model as xm

            # The seed that XLA reports is the next step's only where no step is half traced.
            torch_xla.sync()
            state["xla"] = xm.get_rng_state(device=str(self.device))
        return state

    def set_random_state(self, state: dict):
        """Goes on where `random_state` was."""
        torch.set_rng_state(state["torch"])
        if self.is_xla:
            import torch_xla.core.xla_model as xm

            xm.set_rng_state(state["xla"], device=str(self.device))

    def distribute(self, model: torch.nn.Module) -> torch.nn.Module:
        """Wraps a BERT classifier so that `backward` averages gradients; on XLA `step` does that.

        Draws random numbers: seed afterwards.
        """
        if self.world == 1 or self.is_xla:
            return model
        # Gradients stay in DDP's buckets: no copy back, and the optimizer reads them there.
        replica = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
        # DDP sorts its buckets anew after the first backward pass, and from three processes on the place in a bucket
        # decides the order of a sum. Done here, the first step of a resumed run adds as that of the whole run did.
        token = torch.zeros(1, 8, dtype=torch.int64)
        replica(input_ids=token, labels=torch.zeros(1, dtype=torch.int64)).loss.backward()
        model.zero_grad(set_to_none=True)
        return replica

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

    def autocast(self, bf16: bool) -> contextlib.AbstractContextManager:
        """Where matrix products are in bf16, if they are to be."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if bf16 else contextlib.nullcontext()

    def gradients(self, model: torch.nn.Module, *, last: bool) -> contextlib.AbstractContextManager:
        """Where a batch's gradients are added up: only with those of a step's last batch processes average theirs."""
        return contextlib.nullcontext() if last or not hasattr(model, "no_sync") else model.no_sync()

    def step(self, optimizer: torch.optim.Optimizer, clip: float | None = None):
        """One optimizer step; gradients are clipped to the norm `clip`, on XLA after those of all are reduced."""
        if self.is_xla:
            import torch_xla.core.xla_model as xm

            # What `xm.optimizer_step` does, with room between.
            xm.reduce_gradients(optimizer)
        if clip is not None:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, clip)
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

    def gather(self, value: object) -> list:
        """Every process's `value`, by rank."""
        if self.world == 1:
            return [value]
        values = [None] * self.world
        dist.all_gather_object(values, value, group=self._control_group())
        return values

    def share(self, value: object) -> object:
        """Process 0's `value`, in all processes."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self._control_group())
        return box[0]

    def share_bytes(self, data: bytes | None) -> bytes:
        """Process 0's `data`, in all processes; for what is too large for `share`."""
        if self.world == 1:
            return data
        size = self.share(None if data is None else len(data))
        whole = torch.empty(size, dtype=torch.uint8)
        if self.is_main:
            whole.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        for part in whole.split(BROADCAST_BYTES):
            dist.broadcast(part, src=0, group=self._control_group())
        return whole.numpy().tobytes()

    def _control_group(self) -> dist.ProcessGroup | None:
        if self.is_xla and self._control is None:
            self._control = dist.new_group(backend="gloo")
        return self._control

    def barrier(self):
        """Waits for all processes."""
        if self.world > 1:
            dist.barrier()

    def end(self):
        """Leaves the job in order."""
        if self.peers is not None:
            self.peers.end()
        if dist.is_initialized():
            dist.destroy_process_group()

    def fail(self, reason: str):
        """Leaves the job, telling the other processes why."""
        if self.peers is not None:
            self.peers.leave(reason)


def start(device: str, timeout_s: float = 600.0) -> Process:
    """Joins the job that torchrun describes in the environment, if any, and opens `device` (cpu, xla or neuron).

    A process waits `timeout_s` for another, to join and in every collective.
    """
    rank, world = _from_environment("RANK", 0), _from_environment("WORLD_SIZE", 1)
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if world > 1 and name not in os.environ]
    if not 0 <= rank < world or missing:
        found = f"RANK={rank}, WORLD_SIZE={world}" + "".join(f", no {name}" for name in missing)
        raise TrainerError(f"expected the environment variables of torchrun, or none; found {found}")
    if device == "neuron":
        _expect_neuron()
    if device != "cpu":
        return _start_xla(rank, world, timeout_s)
    _share_cpus(_from_environment("LOCAL_WORLD_SIZE", world))
    process = Process(torch.device("cpu"), rank, world)
    if world > 1:
        _choose_interface()
        store = _meet(rank, world, timeout_s)
        process.peers = Peers(store, rank, world)
        with _Joining(world, timeout_s):
            dist.init_process_group(
                "gloo", store=store, rank=rank, world_size=world, timeout=timedelta(seconds=timeout_s)
            )
    return process


class _Joining:
    """Turns what goes wrong while the processes of a job find each other into a message."""

    def __init__(self, world: int, timeout_s: float):
        self._world, self._timeout_s = world, timeout_s

    def __enter__(self):
        return self

    def __exit__(self, _type, error, _traceback):
        if isinstance(error, RuntimeError):
            address = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
            raise JobFailure(
                f"the {self._world} processes of the job did not find each other at {address} within "
                f"{self._timeout_s:g} s ({str(error).splitlines()[0]}); start torchrun on every host, with the same "
                "--nnodes, --master-addr and --master-port, an address and ports that all hosts reach"
            ) from error


def _meet(rank: int, world: int, timeout_s: float) -> dist.Store:
    """The store of the job, in which all processes have registered."""
    with _Joining(world, timeout_s):
        store, _, _ = next(dist.rendezvous("env://", timeout=timedelta(seconds=timeout_s)))
        store.set_timeout(timedelta(seconds=timeout_s))
        return store


def _choose_interface():
    """On several hosts: tells gloo to use the network interface that leads to the first host.

    Left alone, gloo takes that of the host's own name, which on many machines is the loopback interface.
    """
    local, world = _from_environment("LOCAL_WORLD_SIZE", 1), _from_environment("WORLD_SIZE", 1)
    if local == world or "GLOO_SOCKET_IFNAME" in os.environ:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Of a datagram socket this sends nothing; it only chooses the route.
            probe.connect((os.environ["MASTER_ADDR"], _from_environment("MASTER_PORT", 0)))
        except OSError:
            return
        own = probe.getsockname()[0]
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == own for address in addresses):
            os.environ["GLOO_SOCKET_IFNAME"] = name
            return


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
        f"--device neuron needs a Trn1 or Inf2 instance with the Neuron SDK, but {problem}; `cargo gpsimd doctor "
        "--neuron` shows all that is missing; --device xla runs the same on XLA's CPU device"
    )


def _start_xla(rank: int, world: int, timeout_s: float) -> Process:
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

    process = Process(torch_xla.device(), rank, world)
    if world > 1:
        import torch_xla.distributed.xla_backend

        _choose_interface()
        dist.init_process_group("xla")
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
            process.peers = Peers(_meet(rank, world, timeout_s), rank, world)
    return process


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
