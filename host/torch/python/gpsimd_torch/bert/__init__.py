"""Hugging Face BERT with the Rust ops, through transformers' own extension points.

What changes in a model, and nothing else does:

- Attention: the model's attention implementation becomes one of those of `attentions`, in transformers' registries.
- Feed-forward: the intermediate layer adds the bias of its `dense` in the activation, `bias_gelu_forward`.
- The end of a block: dropout, residual and layer norm are `dropout_norm_forward`.
- Other layers of dropout are `dropout`.

Parameters, their names and the configuration stay: checkpoints go both ways between plain and changed models.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.bert.modeling_bert import BertPreTrainedModel
from transformers.models.camembert.modeling_camembert import CamembertPreTrainedModel
from transformers.models.electra.modeling_electra import ElectraPreTrainedModel
from transformers.models.roberta.modeling_roberta import RobertaPreTrainedModel
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaPreTrainedModel

from gpsimd_torch.bert.attentions import (
    SOFTMAX,
    SOFTMAX_AND_DROPOUT,
    TRAINING_SOFTMAX,
    Attention,
    additive_mask,
    attention,
    attention_with_dropout,
    register,
    training_attention,
)
from gpsimd_torch.bert.dropout import FusedDropout
from gpsimd_torch.bert.layers import GELU, NORM, TRAINING_GELU, check_exact

__all__ = [
    "FAMILIES",
    "OPS",
    "additive_mask",
    "attention",
    "attention_with_dropout",
    "check_activation",
    "training_attention",
    "use_custom_ops",
]

# What `use_custom_ops` takes.
OPS = ("gelu", "softmax", "dropout", "norm")

# Same layers, same attention interface, same masks: the files of transformers differ in names and embeddings.
FAMILIES = (
    BertPreTrainedModel,
    RobertaPreTrainedModel,
    XLMRobertaPreTrainedModel,
    CamembertPreTrainedModel,
    ElectraPreTrainedModel,
)


def use_custom_ops(model: nn.Module, ops: str = "all") -> nn.Module:
    """Makes a BERT model compute parts of its layers with the Rust ops; returns the model.

    Takes transformers' BERT classes (BertModel, BertForSequenceClassification, ...), those of RoBERTa, XLM-RoBERTa,
    CamemBERT and ELECTRA, whose layers are the same, and modules that hold one (an encoder-decoder, peft's PeftModel,
    a module of one's own); in f32 or bf16, in training or evaluation. Adapters may be there or come later. Changes the
    model in place; a second call chooses anew. To go back, load a checkpoint of it into a plain model, or keep a
    `copy.deepcopy` from before.

    `ops` is `"all"`, or some of these, with commas:

    - `gelu`: bias and GELU of the feed-forward layers.
    - `softmax`: the softmax of attention, with scale and mask.
    - `dropout`: all dropout but that of an attention without `softmax`. Its random numbers are not PyTorch's: a model
      trains as well, but not to the same losses. Without it, dropout is PyTorch's, with the same use of the generator.
    - `norm`: the residual and layer norm at the end of a block.

    With `dropout` or `norm` all ops are those of the library `training_ops`, otherwise those of `bert_ops`: a model on
    NeuronCores has one library.

    Raises:
        TypeError: there is none of these models in `model`, or it has been compiled.
        ValueError: the activation is not the exact GELU (`hidden_act="gelu"`), or `ops` names something else.
    """
    chosen = _chosen(ops)
    if hasattr(model, "_orig_mod"):
        raise TypeError("expected a model that is not compiled yet; call use_custom_ops first, then torch.compile")
    models = _models_in(model)
    if not models:
        raise TypeError(_what_differs(model))
    modules = [module for one in models for module in one.modules()]
    if "gelu" in chosen:
        for one in models:
            check_activation(one.config)
        for module in modules:
            if _stock(module) in GELU:
                check_exact(module.intermediate_act_fn)
    register()
    fused = _replacements(chosen)
    for module in modules:
        module.__class__ = fused.get(_stock(module), _stock(module))
    for one in models:
        _choose_attention(one, chosen)
    return model


def check_activation(config: PretrainedConfig) -> None:
    """`ValueError` unless models of this configuration have the activation that the op computes."""
    if config.hidden_act != "gelu":
        raise ValueError(
            f"expected hidden_act 'gelu' (the exact, erf form), found {config.hidden_act!r}; the op computes no other "
            "activation"
        )


def _chosen(ops: str) -> set[str]:
    chosen = set(OPS) if ops == "all" else {name.strip() for name in ops.split(",")}
    if not chosen <= set(OPS):
        raise ValueError(f'ops is "{ops}", expected "all" or some of {", ".join(OPS)}, with commas')
    return chosen


def _stock(module: nn.Module) -> type:
    """The class of a layer before it was changed."""
    return type(module).__dict__.get("stock", type(module))


def _replacements(chosen: set[str]) -> Mapping[type, type]:
    """Of each class of layers that changes, the one that takes its place."""
    fused: dict[type, type] = {}
    if "gelu" in chosen:
        fused |= GELU if chosen.isdisjoint({"dropout", "norm"}) else TRAINING_GELU
    if "norm" in chosen:
        fused |= NORM
    if "dropout" in chosen:
        fused[nn.Dropout] = FusedDropout
    return fused


def _choose_attention(model: PreTrainedModel, chosen: set[str]) -> None:
    if "softmax" in chosen:
        _own_config(model)
        without_dropout = TRAINING_SOFTMAX if "norm" in chosen else SOFTMAX
        model.set_attn_implementation(SOFTMAX_AND_DROPOUT if "dropout" in chosen else without_dropout)
    elif isinstance(model.config._attn_implementation, Attention):
        model.set_attn_implementation("sdpa")


def _models_in(module: nn.Module) -> list[PreTrainedModel]:
    """The outermost models of `FAMILIES`."""
    if isinstance(module, FAMILIES):
        return [module]
    return [model for child in module.children() for model in _models_in(child)]


def _what_differs(model: nn.Module) -> str:
    names = ", ".join(family.__name__.removesuffix("PreTrainedModel") for family in FAMILIES)
    message = f"expected a transformers BERT model or one with the same layers ({names}), found {type(model).__name__}"
    layer = next((part[0] for part in model.modules() if isinstance(part, nn.ModuleList) and len(part)), None)
    if not isinstance(model, PreTrainedModel) or layer is None:
        return message
    parts = ", ".join(dict.fromkeys(type(part).__name__ for part in layer.children()))
    return (
        f"{message}, whose {type(layer).__name__} is made of {parts}: without the intermediate layer of BERT (dense, "
        "then GELU) the ops have no place in it"
    )


def _own_config(model: PreTrainedModel) -> None:
    """Gives the model a configuration of its own.

    Models built from one configuration object share it, and with it the attention implementation: a stock
    model beside this one would silently change as well.
    """
    if isinstance(model.config._attn_implementation, Attention):
        return
    shared, own = model.config, copy.deepcopy(model.config)
    for module in model.modules():
        if getattr(module, "config", None) is shared:
            module.config = own
