"""AdamW on the GPSIMD engine: `torch.optim.AdamW`'s update with one launch for many elements.

The op takes parameter and moments as one contiguous f32 tensor [3, N], the *block*. Large parameters have a
block of their own, so that their gradient is used where autograd left it; small ones share a block, into
whose order their gradients are copied. On CPU row 0 of a block *is* the parameters' memory: nothing is
copied and the op updates it in place.
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

# From this many elements on a parameter has its own block. Copying a gradient moves 8 bytes per element where
# the update moves 28; for 64 Ki elements (256 KiB) that begins to cost more than a launch does.
OWN_BLOCK_ELEMENTS = 1 << 16
# Parameters in a shared block start at multiples of 64 bytes, as PyTorch's own allocations do: its matrix
# products are fastest, and bit for bit the same, at that alignment.
ALIGNMENT_ELEMENTS = 16

_UNSUPPORTED = ("amsgrad", "maximize", "capturable", "differentiable")


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter), computed by the op `bert_ops::adamw_step`.

    Same formula, defaults and `state_dict` as `torch.optim.AdamW`: each loads the other's.

    Parameters are f32, of any shape, on cpu or xla; gradients dense. On cpu the first step with a gradient
    moves a parameter's memory into a block (`p.data` is a view of it from then on): tensors that shared the
    memory before, such as an earlier `p.detach()`, keep the old values. A parameter that is not contiguous,
    in shared memory, or part of a larger storage stays where it is and is copied to and fro.

    Args:
        params: parameters, named parameters or groups, as for any torch optimizer.
        lr: learning rate, a float or a tensor of one element (read at every step).
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the root of the second moment.
        weight_decay: decay of parameters, scaled by `lr`.
        amsgrad, maximize, capturable, differentiable: only False; for the others' call signature.
        foreach, fused: ignored, this is the fused implementation.

    Raises:
        ValueError: a hyperparameter is outside its range or not supported.
        TypeError: a parameter is not f32, or is on another device than cpu or xla.
        RuntimeError: at `step`, a gradient is sparse.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        """See the class."""
        import gpsimd_torch

        gpsimd_torch.load_library("bert_ops")
        self._placements: dict[Tensor, tuple[_Bucket, int]] = {}
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": None,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": None,
            "decoupled_weight_decay": True,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict):
        """Adds a group, now or later in training; checks its hyperparameters and parameters."""
        super().add_param_group(param_group)
        try:
            group = self.param_groups[-1]
            _check_group(group)
            for index, parameter in enumerate(group["params"]):
                _check_parameter(parameter, _name(group, index))
        except Exception:
            self.param_groups.pop()
            raise

    def __setstate__(self, state: dict):
        """Takes over parameter groups and moments."""
        # Runs after unpickling, after deepcopy, and in load_state_dict. Blocks are no part of a state: the
        # next step builds them anew from the parameters and moments.
        super().__setstate__(state)
        self._placements = {}
        for group in self.param_groups:
            for key in _UNSUPPORTED:
                group.setdefault(key, False)
            group.update(foreach=None, fused=None, decoupled_weight_decay=True)

    def load_state_dict(self, state_dict: dict):
        """Loads a state saved by this optimizer or by `torch.optim.AdamW`; a misfit changes nothing.

        Raises:
            ValueError: the state is another optimizer's, has hyperparameters that are not supported, or
                moments of another shape than the parameters.
        """
        for number, group in enumerate(state_dict["param_groups"]):
            missing = {"lr", "betas", "eps", "weight_decay"} - set(group)
            if missing:
                raise ValueError(f"loaded parameter group {number}: expected AdamW's, found none of {sorted(missing)}")
            _check_group(group)
        saved = [key for group in state_dict["param_groups"] for key in group["params"]]
        own = [parameter for group in self.param_groups for parameter in group["params"]]
        for key, parameter in zip(saved, own, strict=False):
            state = state_dict["state"].get(key)
            for moment in ("exp_avg", "exp_avg_sq") if state else ():
                found = list(state[moment].shape) if moment in state else "none"
                if found != list(parameter.shape):
                    raise ValueError(
                        f"loaded state of parameter {key}: expected {moment} of shape "
                        f"{list(parameter.shape)}, found {found}; load it into an optimizer of the same model"
                    )
        super().load_state_dict(state_dict)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient; returns what `closure` returns.

        All gradients are checked before the first parameter changes.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        active = [self._active(group) for group in self.param_groups]
        for group, parameters in zip(self.param_groups, active, strict=True):
            self._place(parameters)
            launches: dict[_Bucket, list[int]] = {}
            for parameter in parameters:
                bucket, index = self._placements[parameter]
                launches.setdefault(bucket, []).append(index)
            lr, (beta1, beta2) = float(group["lr"]), group["betas"]
            scalars = (lr, float(beta1), float(beta2), float(group["eps"]), float(group["weight_decay"]))
            for bucket, indices in launches.items():
                bucket.step(indices, self.state, scalars)
        return loss

    def _active(self, group: dict) -> list[Tensor]:
        """The group's parameters with a gradient, checked."""
        active = []
        for index, parameter in enumerate(group["params"]):
            if parameter.grad is None:
                continue
            _check_parameter(parameter, _name(group, index))
            if parameter.grad.layout != torch.strided:
                raise RuntimeError(
                    f"{_name(group, index)}: expected a dense gradient, found {parameter.grad.layout}; "
                    "use torch.optim.SparseAdam for it, or sparse=False in the embedding"
                )
            active.append(parameter)
        return active

    def _place(self, parameters: list[Tensor]):
        """Sees to it that every parameter is in a block that holds its present value and moments."""
        homeless = []
        for parameter in parameters:
            placement = self._placements.get(parameter)
            if placement is None or not placement[0].holds(placement[1], self.state[parameter]):
                homeless.append(parameter)
        small: dict[tuple, list[Tensor]] = {}
        for parameter in homeless:
            if parameter.numel() >= OWN_BLOCK_ELEMENTS:
                self._adopt([parameter])
            else:
                small.setdefault((parameter.device, _can_move(parameter)), []).append(parameter)
        for shared in small.values():
            self._adopt(shared)

    def _adopt(self, parameters: list[Tensor]):
        bucket = _Bucket(parameters, self.state)
        for index, parameter in enumerate(parameters):
            self._placements[parameter] = (bucket, index)


class _Bucket:
    """Parameters of one device, and the block that they share.

    `block` is f32 [3, N]: parameter, first moment, second moment. Each parameter has the elements
    [start, start + numel) of each row. `moves`: row 0 is the parameters' memory; otherwise it is a copy that
    is refreshed before each launch and copied back after it (XLA tensors have no memory to share).
    """

    def __init__(self, parameters: list[Tensor], state: dict):
        device = parameters[0].device
        self.parameters = parameters
        self.moves = _can_move(parameters[0])
        self.starts, elements = [], 0
        for parameter in parameters:
            self.starts.append(elements)
            elements += parameter.numel()
            if len(parameters) > 1:
                elements = math.ceil(elements / ALIGNMENT_ELEMENTS) * ALIGNMENT_ELEMENTS
        self.block = torch.zeros(3, elements, dtype=torch.float32, device=device)
        self.flat_gradient = torch.zeros(elements, device=device) if len(parameters) > 1 else None
        self.rows = [self._views(row) for row in self.block]
        self.gradients = self._views(self.flat_gradient) if self.flat_gradient is not None else None
        self.moments = []
        for index, parameter in enumerate(parameters):
            self._fill(index, parameter, state[parameter])

    def _views(self, flat: Tensor) -> list[Tensor]:
        """One view per parameter, in its shape.

        On CPU each has a storage object of its own over the shared memory, so that saving a parameter or a
        moment writes that and not the whole block.
        """
        views = []
        for parameter, start in zip(self.parameters, self.starts, strict=True):
            view = flat[start : start + parameter.numel()]
            if flat.device.type == "cpu":
                view = torch.from_dlpack(view)
            views.append(view.view(parameter.shape))
        return views

    def _fill(self, index: int, parameter: Tensor, state: dict):
        """Takes over a parameter's value and moments; moments are 0 if it has none yet."""
        value, first, second = (row[index] for row in self.rows)
        if "exp_avg" in state:
            first.copy_(state["exp_avg"])
            second.copy_(state["exp_avg_sq"])
        step = torch.tensor(float(state.get("step", 0.0)), dtype=torch.float32)
        state.update(step=step, exp_avg=first, exp_avg_sq=second)
        self.moments.append((first, second))
        if self.moves:
            value.copy_(parameter)
            parameter.data = value

    def holds(self, index: int, state: dict) -> bool:
        """Whether the parameter and its state are still what this block holds.

        They are not after `p.data = ...`, after loading a state, or when somebody replaced a moment.
        """
        parameter = self.parameters[index]
        first, second = self.moments[index]
        if state.get("exp_avg") is not first or state.get("exp_avg_sq") is not second:
            return False
        if parameter.shape != first.shape or parameter.device != self.block.device:
            return False
        if not self.moves:
            return not _can_move(parameter)
        return parameter.data_ptr() == self.rows[0][index].data_ptr() and parameter.is_contiguous()

    def step(self, indices: list[int], state: dict, scalars: tuple[float, ...]):
        """Updates the parameters `indices`; one launch if that is all of them, at the same step."""
        steps = [state[self.parameters[index]]["step"] for index in indices]
        counts = [float(step) + 1 for step in steps]
        if not self.moves:
            for index in indices:
                self.rows[0][index].copy_(self.parameters[index])
        if len(indices) == len(self.parameters) and len(set(counts)) == 1:
            self._launch_all(scalars, counts[0])
        else:
            for count in sorted(set(counts)):
                self._launch_some([i for i, c in zip(indices, counts, strict=True) if c == count], scalars, count)
        torch._foreach_add_(steps, 1)
        updated = [self.parameters[index] for index in indices]
        if self.moves:
            # Autograd finds a backward pass through a parameter that has changed since by its version.
            torch.autograd.graph.increment_version(updated)
        else:
            for index in indices:
                self.parameters[index].copy_(self.rows[0][index])

    def _launch_all(self, scalars: tuple[float, ...], step: float):
        if self.flat_gradient is None:
            gradient = self.parameters[0].grad.reshape(-1)
        else:
            torch._foreach_copy_(self.gradients, [parameter.grad for parameter in self.parameters])
            gradient = self.flat_gradient
        _launch(self.block, gradient, scalars, step)

    def _launch_some(self, indices: list[int], scalars: tuple[float, ...], step: float):
        """For a shared block of which some parameters have no gradient, or had none at an earlier step."""
        sizes = [self.parameters[index].numel() for index in indices]
        parts = [self.block[:, self.starts[i] : self.starts[i] + size] for i, size in zip(indices, sizes, strict=True)]
        gathered = torch.cat(parts, dim=1)
        gradient = torch.cat([self.parameters[index].grad.reshape(-1) for index in indices])
        _launch(gathered, gradient, scalars, step)
        for part, updated in zip(parts, gathered.split(sizes, dim=1), strict=True):
            part.copy_(updated)


def _launch(block: Tensor, gradient: Tensor, scalars: tuple[float, ...], step: float):
    if block.numel() == 0:
        return
    if block.device.type == "cpu":
        torch.ops.bert_ops.adamw_step_(block, gradient, *scalars, step)
    else:
        block.copy_(torch.ops.bert_ops.adamw_step(block, gradient, *scalars, step))


def _can_move(parameter: Tensor) -> bool:
    """Whether the parameter's memory may be replaced: on the CPU, and known to nobody else."""
    return (
        parameter.device.type == "cpu"
        and parameter.is_contiguous()
        and not parameter.is_shared()
        and parameter.untyped_storage().nbytes() == parameter.numel() * parameter.element_size()
    )


def _name(group: dict, index: int) -> str:
    names = group.get("param_names")
    return (
        f"parameter {names[index]!r}" if names else f"parameter {index} of shape {list(group['params'][index].shape)}"
    )


def _check_parameter(parameter: Tensor, name: str):
    if parameter.dtype != torch.float32:
        raise TypeError(
            f"{name}: expected torch.float32, found {parameter.dtype}; keep the parameters in f32 "
            "(under autocast if the model should compute in bf16)"
        )
    if parameter.device.type not in ("cpu", "xla"):
        raise TypeError(f"{name}: expected a tensor on cpu or xla, found {parameter.device}; move the model there")


def _check_group(group: dict):
    for key in _UNSUPPORTED:
        if group.get(key):
            raise ValueError(
                f"{key}=True is not supported by gpsimd_torch.optim.AdamW; leave it out or use torch.optim.AdamW"
            )
    lr = group["lr"]
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError(f"lr: expected a number or a tensor of one element, found shape {list(lr.shape)}")
    for key in ("lr", "eps", "weight_decay"):
        if not (math.isfinite(group[key]) and group[key] >= 0):
            raise ValueError(f"{key}: expected a finite number of at least 0, found {group[key]}")
    betas = group["betas"]
    if len(betas) != 2 or not all(0 <= float(beta) < 1 for beta in betas):
        raise ValueError(f"betas: expected two numbers in [0, 1), found {betas}")
