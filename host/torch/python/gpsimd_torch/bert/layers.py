"""Layers of BERT with the Rust ops.

The class of a layer is changed and none of its parts, so that an adapter, a quantiser or a hook finds in them what it
expects. Where one of these has taken the place of a part, that part is called as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import GELUActivation
from transformers.models.bert.modeling_bert import BertIntermediate, BertOutput, BertSelfOutput
from transformers.models.camembert.modeling_camembert import (
    CamembertIntermediate,
    CamembertOutput,
    CamembertSelfOutput,
)
from transformers.models.electra.modeling_electra import ElectraIntermediate, ElectraOutput, ElectraSelfOutput
from transformers.models.roberta.modeling_roberta import RobertaIntermediate, RobertaOutput, RobertaSelfOutput
from transformers.models.xlm_roberta.modeling_xlm_roberta import (
    XLMRobertaIntermediate,
    XLMRobertaOutput,
    XLMRobertaSelfOutput,
)

from gpsimd_torch.bert.attentions import register
from gpsimd_torch.bert.dropout import FusedDropout, seed_for


class _Fused:
    """A layer whose class was changed; `library` is the one of its ops."""

    library = "bert_ops"

    def __setstate__(self, state: dict) -> None:
        """In the process that a pickled model comes to, nothing may be loaded yet."""
        register()
        super().__setstate__(state)


class _Intermediate(_Fused):
    """The first half of a feed-forward block, gelu(dense(x)), with bias and GELU in one op.

    Where `dense` is not a plain `torch.nn.Linear`, the op adds a bias of zeros: whatever `dense` makes of its bias (a
    rescaled output, a copy that is trained) stays its own.
    """

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[.., hidden] to [.., intermediate]."""
        check_exact(self.intermediate_act_fn)
        dense = self.dense
        if is_plain(dense, nn.Linear) and dense.bias is not None:
            x, bias = functional.linear(hidden_states, dense.weight), dense.bias
        else:
            x = dense(hidden_states)
            bias = x.new_zeros(x.shape[-1])
        return getattr(torch.ops, self.library).bias_gelu_forward(x, bias.to(x.dtype))


class _TrainingIntermediate(_Intermediate):
    library = "training_ops"


class _Output(_Fused):
    """The end of a block, LayerNorm(dropout(dense(x)) + residual), with all after `dense` in one op.

    A dropout that is not the op's own is called before it.
    """

    library = "training_ops"

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """[.., any] and the residual [.., hidden], to [.., hidden]."""
        hidden_states = self.dense(hidden_states)
        dropout, norm = self.dropout, self.LayerNorm
        p = 0.0
        if is_plain(dropout, FusedDropout):
            p = dropout.p if dropout.training else 0.0
        else:
            hidden_states = dropout(hidden_states)
        if not is_plain(norm, nn.LayerNorm) or norm.weight is None or norm.bias is None:
            return norm(hidden_states + input_tensor)
        return torch.ops.training_ops.dropout_norm_forward(
            hidden_states, input_tensor, norm.weight, norm.bias, seed_for(hidden_states, p), norm.eps, p
        )[0]


def _fused(mixin: type, *layers: type) -> dict[type, type]:
    """Of each class of layers, one with the forward pass of `mixin`: `FusedBertOutput`, and so on."""
    prefix = mixin.__name__.removeprefix("_").removesuffix("Intermediate").removesuffix("Output")
    names = {layer: f"Fused{prefix}{layer.__name__}" for layer in layers}
    made = {
        layer: type(name, (mixin, layer), {"__module__": __name__, "__doc__": mixin.__doc__, "stock": layer})
        for layer, name in names.items()
    }
    # Where pickle looks for them.
    globals().update((layer.__name__, layer) for layer in made.values())
    return made


_INTERMEDIATES = (
    BertIntermediate,
    RobertaIntermediate,
    XLMRobertaIntermediate,
    CamembertIntermediate,
    ElectraIntermediate,
)
# Of each class, the one that takes its place.
GELU = _fused(_Intermediate, *_INTERMEDIATES)
TRAINING_GELU = _fused(_TrainingIntermediate, *_INTERMEDIATES)
NORM = _fused(
    _Output,
    *(BertSelfOutput, RobertaSelfOutput, XLMRobertaSelfOutput, CamembertSelfOutput, ElectraSelfOutput),
    *(BertOutput, RobertaOutput, XLMRobertaOutput, CamembertOutput, ElectraOutput),
)


def is_plain(module: nn.Module, kind: type) -> bool:
    """Whether calling the module is the function of its kind and nothing else."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return type(module) is kind and not any(hooks)


def check_exact(activation: object) -> None:
    """`ValueError` unless it is the exact GELU."""
    exact = isinstance(activation, nn.GELU) and activation.approximate == "none"
    if not exact and not isinstance(activation, GELUActivation) and activation is not functional.gelu:
        raise ValueError(
            f"intermediate_act_fn: expected the exact GELU, found {activation}; the op computes no other activation"
        )
