"""AdamW on the GPSIMD engine: `torch.optim.AdamW`'s update, on parameters and moments where they are.

The op `training_ops::scaled_adamw_step` takes a parameter and its moments as one f32 tensor [3, N]. PyTorch keeps them
apart, and their memory may be anybody's: shared with another process, a bucket of gradients or parameters, a model that
somebody else holds. So nothing is moved. On CPU one call of the extension launches the op over all of them, wherever
they are; on XLA the operands of a launch are put together and taken apart in the graph.

Clipping by the global norm needs all gradients before the first parameter changes, and nothing synchronises the cores
of a launch: `sum_of_squares` of the gradients comes first, then a factor that follows from their sum, then the steps,
which multiply by it. No gradient is written.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gpsimd_torch.ops import OpLibrary

# The library of a training step: that of the layers, too, as a model on NeuronCores has one.
LIBRARY = "training_ops"
# On XLA, from this many elements on a parameter has a launch of its own; smaller ones are put together. So are
# gradients where their squares are summed, on any device.
OWN_LAUNCH_ELEMENTS = 1 << 16
# A beta reaches the kernel as an f32. This is how much of 1 - beta, the weight of a new gradient, that may change.
BETA_TOLERANCE = 0.01

_UNSUPPORTED = {
    "amsgrad": "the op keeps no maximum of the second moment",
    "maximize": "the op descends; negate the loss",
    "capturable": "there is no CUDA graph to capture",
    "differentiable": "the op has no gradient",
}


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter), computed by an op of `library`.

    Same formula, defaults, state and `state_dict` as `torch.optim.AdamW`: each loads the other's. Parameters and
    moments are updated in place, as there, so that whoever shares their memory sees the update.

    Parameters are f32, of any shape and strides, on cpu or xla; gradients dense.

    Args:
        params: parameters, named parameters or groups, as for any torch optimizer.
        lr: learning rate, a float or a tensor of one element (read at every step).
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the root of the second moment.
        weight_decay: decay of parameters, scaled by `lr`.
        amsgrad, maximize, capturable, differentiable: only False; for the others' call signature.
        foreach: ignored, this is one implementation.
        fused: with True, `torch.amp.GradScaler` leaves unscaling to `step`, as with PyTorch's.
        max_norm: clips the gradients of all groups together, as `torch.nn.utils.clip_grad_norm_` of all parameters
            would before `step`, without changing them: each counts min(1, max_norm / (norm + 1e-6)) times. Where each
            process has parameters of its own (`ZeroRedundancyOptimizer`, FSDP), each would clip by a norm of its own:
            clip with the methods of these there.
        library: the op library, by name or path, with the op of a step: `scaled_adamw_step` and `sum_of_squares`, or,
            without `max_norm`, `adamw_step`. On NeuronCores a model has one library, so that this is that of its
            layers: `training_ops`, or `bert_ops` where `use_custom_ops` was given neither `dropout` nor `norm`.

    Attributes:
        total_norm: with `max_norm`, the norm of all gradients of the last step, before clipping, a tensor; else None.

    Raises:
        ValueError: a hyperparameter is outside its range or not supported, or the library has no op of AdamW.
        TypeError: a parameter is not f32, on another device than cpu or xla, or a DTensor (FSDP2) or other subclass
            that holds its elements elsewhere.
        RuntimeError: at `step`, a gradient is sparse, or a parameter's elements share memory with each other.
    """

    # Of an optimizer that was pickled when there were none of these.
    max_norm: float | None = None
    library: str | Path = LIBRARY
    total_norm: Tensor | None = None

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
        max_norm: float | None = None,
        library: str | Path = LIBRARY,
    ):
        """See the class."""
        if foreach and fused:
            raise RuntimeError("foreach and fused cannot both be True, as in torch.optim.AdamW")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": True,
        }
        if max_norm is not None and not max_norm > 0:
            raise ValueError(f"max_norm: expected a number above 0, found {max_norm}; leave it out to clip nothing")
        super().__init__(params, defaults)
        self.max_norm, self.library = max_norm, library
        if fused:
            self._step_supports_amp_scaling = True
        _op(self._loaded(), max_norm)

    def __getstate__(self) -> dict:
        """What copies and pickles hold: the groups and the state, and what belongs to no group."""
        return super().__getstate__() | {"max_norm": self.max_norm, "library": self.library}

    def _loaded(self) -> OpLibrary:
        from gpsimd_torch.ops import load_library

        return load_library(self.library)

    def add_param_group(self, param_group: dict):
        """Adds a group, now or later in training; checks its hyperparameters and parameters."""
        super().add_param_group(param_group)
        try:
            group = self.param_groups[-1]
            _check_group(group)
            for index, parameter in enumerate(group["params"]):
                _check_parameter(parameter, partial(_name, group, index))
        except Exception:
            self.param_groups.pop()
            raise

    def __setstate__(self, state: dict):
        """Takes over parameter groups and state, in `load_state_dict`, `copy.deepcopy` and unpickling.

        Raises:
            ValueError: they are another optimizer's, have hyperparameters that are not supported, or moments of
                another shape than the parameters. Nothing has changed then.
        """
        for number, group in enumerate(state["param_groups"]):
            missing = {"lr", "betas", "eps", "weight_decay"} - set(group)
            if missing:
                raise ValueError(f"loaded parameter group {number}: expected AdamW's, found none of {sorted(missing)}")
            _check_group(group)
            for index, parameter in enumerate(group["params"]):
                name = partial(_name, group, index, "loaded state of ")
                _check_moments(parameter, state["state"].get(parameter), name)
        super().__setstate__(state)
        for group in self.param_groups:
            for key in _UNSUPPORTED:
                group.setdefault(key, False)
            group.setdefault("foreach", None)
            group.setdefault("fused", None)
            group["decoupled_weight_decay"] = True
        for own in self.state.values():
            # PyTorch's were numbers once.
            if isinstance(own, dict) and "step" in own and not isinstance(own["step"], Tensor):
                own["step"] = torch.tensor(float(own["step"]))

    def load_state_dict(self, state_dict: dict):
        """Loads a copy of a state saved by this optimizer or by `torch.optim.AdamW`; a misfit changes nothing.

        Raises:
            ValueError: as `__setstate__`.
        """
        super().load_state_dict(state_dict)
        # What needed no cast is the very tensor of `state_dict`, so of the optimizer that this may come from: two
        # optimizers would train with one another's moments.
        for group in self.param_groups:
            for parameter in group["params"]:
                own = self.state.get(parameter, {})
                own.update({key: value.clone() for key, value in own.items() if isinstance(value, Tensor)})

    # Under `torch.compile` a step is a call between graphs: the extension takes addresses, which no graph has.
    @torch._disable_dynamo
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient; returns what `closure` returns.

        All parameters, gradients and moments are checked before the first of them changes.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        active = [(group, parameter) for group in self.param_groups for parameter in self._checked(group)]
        # What `torch.amp.GradScaler` leaves to optimizers that say they support it.
        found_inf, grad_scale = getattr(self, "found_inf", None), getattr(self, "grad_scale", None)
        if found_inf is not None and found_inf:
            return loss
        if grad_scale is not None and active:
            torch._foreach_div_([parameter.grad for _, parameter in active], grad_scale)
        library, scale = self._loaded(), None
        if self.max_norm is not None:
            self.total_norm = _total_norm(library, [parameter.grad for _, parameter in active])
            # As `torch.nn.utils.clip_grad_norm_`.
            scale = (self.max_norm / (self.total_norm + 1e-6)).clamp(max=1.0)
        steps = _Steps(library, scale)
        for group, parameter in active:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.tensor(0.0, dtype=torch.float32, device="cpu")
                state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            steps.add(group, parameter, state)
        steps.launch()
        return loss

    def _checked(self, group: dict) -> list[Tensor]:
        """The group's parameters with a gradient."""
        _check_betas(group["betas"])
        active = []
        for index, parameter in enumerate(group["params"]):
            gradient = parameter.grad
            if gradient is None:
                continue
            name = partial(_name, group, index)
            _check_parameter(parameter, name)
            _check_gradient(parameter, gradient, name)
            self._check_state(parameter, name)
            active.append(parameter)
        return active

    def _check_state(self, parameter: Tensor, name: Callable[[], str]):
        state = self.state.get(parameter)
        _check_moments(parameter, state, name)
        for moment in ("exp_avg", "exp_avg_sq") if state else ():
            found = state[moment]
            if found.dtype != torch.float32 or found.device != parameter.device or not _holds_elements(found):
                raise ValueError(
                    f"{name()}: expected {moment} as torch.float32 on {parameter.device}, found a "
                    f"{type(found).__name__} of {found.dtype} on {found.device}; load the optimizer's "
                    "state again, with the model in its place"
                )


class _Update(NamedTuple):
    """One parameter of a step. Tensors on CPU are laid out alike, without gaps."""

    hyperparameters: int
    count: float
    """The step, from 1."""
    rows: tuple[Tensor, Tensor, Tensor]
    """Parameter, first and second moment."""
    gradient: Tensor


class _Steps:
    """Updates that wait for their launch."""

    def __init__(self, library: OpLibrary, scale: Tensor | None):
        """`scale`: what gradients are multiplied by, of no dimensions."""
        self.library, self.scale = library, scale
        self.hyperparameters: list[tuple[float, ...]] = []
        self._group: dict | None = None
        self._clear()

    def _clear(self):
        self.updates: list[_Update] = []
        self.steps: list[Tensor] = []
        # By identity: two parameters may have one step, or one parameter be there twice. Each is a step.
        self.counts: dict[int, float] = {}

    def add(self, group: dict, parameter: Tensor, state: dict):
        if group is not self._group:
            self._group = group
            beta1, beta2 = group["betas"]
            values = (group["lr"], beta1, beta2, group["eps"], group["weight_decay"])
            self.hyperparameters.append(tuple(map(float, values)))
        rows = (parameter, state["exp_avg"], state["exp_avg_sq"])
        gradient, copies = parameter.grad, ()
        if parameter.device.type == "cpu":
            tensors = (*rows, gradient)
            if not all(map(Tensor.is_contiguous, tensors)) or gradient.is_neg() or gradient._is_zerotensor():
                pattern = torch.empty_like(parameter)
                if any(row.stride() != pattern.stride() for row in rows):
                    # Copies: whatever else is in this memory has its update before, or after.
                    self.launch()
                *rows, gradient = _alike(tensors, pattern)
                copies = [(old, new) for old, new in zip(tensors, rows, strict=False) if old is not new]
        step = state["step"]
        count = self.counts[id(step)] = self.counts.get(id(step), float(step)) + 1
        self.steps.append(step)
        self.updates.append(_Update(len(self.hyperparameters) - 1, count, tuple(rows), gradient))
        if copies:
            self.launch()
            for old, new in copies:
                old.copy_(new)

    def launch(self):
        if not self.updates:
            return
        on_cpu = [update for update in self.updates if update.gradient.device.type == "cpu"]
        if on_cpu:
            self._launch_on_cpu(on_cpu)
        if len(on_cpu) < len(self.updates):
            self._launch_on_xla([update for update in self.updates if update.gradient.device.type != "cpu"])
        # A number would become a tensor once for each step.
        torch._foreach_add_(self.steps, torch.tensor(1.0, device="cpu"), alpha=1.0)
        # Autograd finds a backward pass through a parameter that has changed since by its version.
        torch.autograd.graph.increment_version([row for update in self.updates for row in update.rows])
        self._clear()

    def _launch_on_cpu(self, updates: list[_Update]):
        from gpsimd_torch import _native

        op, scale = _op(self.library, None), None
        if op == "scaled_adamw_step":
            scale = 1.0 if self.scale is None else float(self.scale)
        arguments = [
            (index, count, gradient.numel(), [row.data_ptr() for row in rows], gradient.data_ptr())
            for index, count, rows, gradient in updates
        ]
        _native.adamw_step(self.library._native, op, self.hyperparameters, arguments, scale)

    def _launch_on_xla(self, updates: list[_Update]):
        launches: dict[tuple, list[_Update]] = {}
        for number, update in enumerate(updates):
            if update.gradient.numel() == 0:
                continue
            is_large = update.gradient.numel() >= OWN_LAUNCH_ELEMENTS
            key = (update.gradient.device, update.hyperparameters, update.count, number if is_large else None)
            launches.setdefault(key, []).append(update)
        op = _op(self.library, None)
        for (device, index, count, _), together in launches.items():
            columns = zip(*(update.rows for update in together), strict=True)
            rows = [torch.cat([tensor.reshape(-1) for tensor in column]) for column in columns]
            operands = [torch.stack(rows), torch.cat([update.gradient.reshape(-1) for update in together])]
            if op == "scaled_adamw_step":
                one = self.scale is None
                operands.append(torch.ones(1, device=device) if one else self.scale.to(device).reshape(1))
            step = getattr(getattr(torch.ops, self.library.name), op)
            state = step(*operands, *self.hyperparameters[index], count)
            start = 0
            for update in together:
                end = start + update.gradient.numel()
                for tensor, updated in zip(update.rows, state, strict=True):
                    tensor.copy_(updated[start:end].view(tensor.shape))
                start = end


def _op(library: OpLibrary, max_norm: float | None) -> str:
    """The op of a step; `ValueError` if the library has none, or none that clips."""
    if {"scaled_adamw_step", "sum_of_squares"} <= set(library.ops):
        return "scaled_adamw_step"
    if max_norm is not None:
        raise ValueError(
            f"max_norm: library `{library.name}` has no scaled_adamw_step and sum_of_squares, which clip; use "
            f'library="{LIBRARY}", or torch.nn.utils.clip_grad_norm_ before each step'
        )
    if "adamw_step" not in library.ops:
        raise ValueError(
            f"library: `{library.name}` has no op adamw_step or scaled_adamw_step; it has {', '.join(library.ops)}"
        )
    return "adamw_step"


def _total_norm(library: OpLibrary, gradients: list[Tensor]) -> Tensor:
    """The norm of all gradients together, f32 of no dimensions, on the device of the first."""
    if not gradients:
        return torch.tensor(0.0)
    small: dict[torch.device, list[Tensor]] = {}
    operands = []
    for gradient in gradients:
        if gradient.numel() < OWN_LAUNCH_ELEMENTS or gradient._is_zerotensor():
            small.setdefault(gradient.device, []).append(gradient.reshape(-1))
        else:
            operands.append(gradient.resolve_neg())
    operands += [torch.cat(together) for together in small.values()]
    sum_of_squares = getattr(torch.ops, library.name).sum_of_squares
    device = gradients[0].device
    sums = torch.cat([sum_of_squares(operand).to(device) for operand in operands])
    # The device has no f64.
    return sums.sum(dtype=torch.float64 if device.type == "cpu" else None).sqrt().float()


def _alike(tensors: tuple[Tensor, ...], pattern: Tensor) -> list[Tensor]:
    """The tensors, or copies of them, with the strides of `pattern`, which has no gaps."""

    def fits(tensor: Tensor) -> bool:
        return tensor.stride() == pattern.stride() and not tensor.is_neg() and not tensor._is_zerotensor()

    return [tensor if fits(tensor) else torch.empty_like(pattern).copy_(tensor) for tensor in tensors]


def _name(group: dict, index: int, prefix: str = "") -> str:
    names = group.get("param_names")
    if names:
        return f"{prefix}parameter {names[index]!r}"
    return f"{prefix}parameter {index} of shape {list(group['params'][index].shape)}"


def _holds_elements(tensor: Tensor) -> bool:
    """Whether the tensor is not a subclass that holds its elements elsewhere (a DTensor of FSDP2, a FakeTensor, ..)."""
    return type(tensor).__torch_dispatch__ is Tensor.__torch_dispatch__


def _check_parameter(parameter: Tensor, name: Callable[[], str]):
    if not _holds_elements(parameter):
        raise TypeError(
            f"{name()}: expected a plain tensor, found {type(parameter).__name__}, which holds its elements elsewhere; "
            "use torch.optim.AdamW for it (FSDP2's parameters are DTensors; FSDP1's are plain)"
        )
    if parameter.dtype != torch.float32:
        raise TypeError(
            f"{name()}: expected torch.float32, found {parameter.dtype}; keep the parameters in f32 "
            "(under autocast if the model should compute in bf16)"
        )
    if parameter.device.type not in ("cpu", "xla"):
        raise TypeError(f"{name()}: expected a tensor on cpu or xla, found {parameter.device}; move the model there")


def _check_gradient(parameter: Tensor, gradient: Tensor, name: Callable[[], str]):
    if gradient.layout != torch.strided or parameter.layout != torch.strided:
        layout = gradient.layout if gradient.layout != torch.strided else parameter.layout
        raise RuntimeError(
            f"{name()}: expected a dense gradient, found {layout}; "
            "use torch.optim.SparseAdam for it, or sparse=False in the embedding"
        )
    if not _holds_elements(gradient) or gradient.dtype != torch.float32 or gradient.shape != parameter.shape:
        raise TypeError(
            f"{name()}: expected a gradient of {parameter.dtype} and shape {list(parameter.shape)}, found "
            f"a {type(gradient).__name__} of {gradient.dtype} and shape {list(gradient.shape)}"
        )
    if parameter.device.type == "cpu" and parameter.numel() > 0:
        if 0 in (parameter.data_ptr(), gradient.data_ptr()) and not gradient._is_zerotensor():
            raise RuntimeError(f"{name()}: its memory or its gradient's has been freed")
        if not parameter.is_contiguous() and torch._debug_has_internal_overlap(parameter) == 1:
            raise RuntimeError(
                f"{name()}: several of its elements share one place in memory (strides "
                f"{list(parameter.stride())}), which no update can be written to; make the parameter of a clone"
            )
        if parameter.is_inference() and not torch.is_inference_mode_enabled():
            raise RuntimeError(
                f"{name()}: it was made in inference mode, whose tensors cannot be changed outside of it"
            )


def _check_moments(parameter: Tensor, state: dict | None, name: Callable[[], str]):
    if not state:
        return
    if "step" not in state:
        raise ValueError(f"{name()}: expected a step in its state, found {sorted(state)}")
    for moment in ("exp_avg", "exp_avg_sq"):
        found = state.get(moment)
        if not isinstance(found, Tensor):
            raise ValueError(f"{name()}: expected {moment} in its state, found {sorted(state)}")
        if found.shape != parameter.shape:
            raise ValueError(
                f"{name()}: expected {moment} of shape {list(parameter.shape)}, found {list(found.shape)}; "
                "load the state into an optimizer of the same model"
            )


def _check_group(group: dict):
    for key, reason in _UNSUPPORTED.items():
        if group.get(key):
            raise ValueError(
                f"{key}=True is not supported by gpsimd_torch.optim.AdamW ({reason}): leave it out or use "
                "torch.optim.AdamW"
            )
    lr = group["lr"]
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError(f"lr: expected a number or a tensor of one element, found shape {list(lr.shape)}")
    for key in ("lr", "eps", "weight_decay"):
        if not (math.isfinite(group[key]) and group[key] >= 0):
            raise ValueError(f"{key}: expected a finite number of at least 0, found {group[key]}")
    _check_betas(group["betas"])


def _check_betas(betas: tuple[float, float]):
    if len(betas) != 2 or not all(0 <= float(beta) < 1 for beta in betas):
        raise ValueError(f"betas: expected two numbers in [0, 1), found {betas}")
    for beta in map(float, betas):
        rounded = ctypes.c_float(beta).value
        if abs(rounded - beta) > BETA_TOLERANCE * (1 - beta):
            raise ValueError(
                f"betas: {beta} is {rounded} in f32, as the kernel takes it, which changes 1 - beta, the weight of a "
                f"new gradient, by more than {BETA_TOLERANCE:.0%}; use at most 0.99999, or torch.optim.AdamW"
            )
