"""What layers with the Rust ops share.

The class of a layer is changed and none of its parts, so that an adapter, a quantiser or a hook finds in them what it
expects. Where one of these has taken the place of a part, that part is called as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import GELUActivation
from transformers.pytorch_utils import Conv1D

from gpsimd_torch.ops import load_library


class Fused:
    """A layer whose class was changed from `stock`; `library` is the one of its ops."""

    library: str
    stock: type

    def __setstate__(self, state: dict) -> None:
        """In the process that a pickled model comes to, nothing may be loaded yet."""
        load_library(self.library)
        super().__setstate__(state)

    @classmethod
    def check(cls, layer: nn.Module) -> None:
        """`ValueError` if the op cannot compute what this stock layer does."""


def fused(mixin: type[Fused], library: str, *layers: type) -> Mapping[type, type]:
    """Of each class of layers, one with the forward pass of `mixin` and the ops of `library`.

    They are called `FusedBertIntermediate`, `FusedTrainingBertIntermediate`, and so on.
    """
    home = sys.modules[mixin.__module__]
    prefix = "" if library == "bert_ops" else library.removesuffix("_ops").title()
    made = {}
    for layer in layers:
        name = f"Fused{prefix}{layer.__name__}"
        body = {"__module__": home.__name__, "__doc__": mixin.__doc__, "stock": layer, "library": library}
        made[layer] = type(name, (mixin, layer), body)
        # Where pickle looks for it.
        setattr(home, name, made[layer])
    return made


def stock_class(module: nn.Module) -> type:
    """The class of a layer before it was changed."""
    return type(module).__dict__.get("stock", type(module))


def is_plain(module: nn.Module, kind: type) -> bool:
    """Whether calling the module is the function of its kind and nothing else."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return type(module) is kind and not any(hooks)


def with_bias_in_op(op: Callable[[Tensor, Tensor], Tensor], dense: nn.Module, x: Tensor) -> Tensor:
    """What an op of its input and a bias makes of dense(x), where the bias is that of `dense`.

    Where `dense` is neither a plain `torch.nn.Linear` nor a plain `Conv1D`, the op adds a bias of zeros: whatever it
    makes of its bias (a rescaled output, a copy that is trained) stays its own.
    """
    if is_plain(dense, nn.Linear) and dense.bias is not None:
        x, bias = functional.linear(x, dense.weight), dense.bias
    elif is_plain(dense, Conv1D):
        x, bias = x @ dense.weight, dense.bias
    else:
        x = dense(x)
        bias = x.new_zeros(x.shape[-1])
    return op(x, bias.to(x.dtype))


def check_exact_gelu(name: str, activation: object) -> None:
    """`ValueError` unless the activation that a layer has as `name` is the exact GELU."""
    exact = isinstance(activation, nn.GELU) and activation.approximate == "none"
    if not exact and not isinstance(activation, GELUActivation) and activation is not functional.gelu:
        raise ValueError(f"{name}: expected the exact GELU, found {activation}; the op computes no other activation")
