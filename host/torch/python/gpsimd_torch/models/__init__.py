"""Models of Hugging Face transformers with the Rust ops, through transformers' own extension points.

What changes in a model, and nothing else does:

- Attention: the model's attention implementation becomes one of those of `attentions`, in transformers' registries.
- Layers: the class of a layer, and none of its parts. A file for each family of models has those of its layers.

Parameters, their names and the configuration stay: checkpoints go both ways between plain and changed models.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from gpsimd_torch.models import bert, distilbert, gpt2, llama, vit
from gpsimd_torch.models.attentions import Attention, additive_mask, attention, attention_of
from gpsimd_torch.models.families import Family
from gpsimd_torch.models.layers import stock_class
from gpsimd_torch.ops import load_library

__all__ = ["FAMILIES", "OPS", "additive_mask", "attention", "check_activation", "use_custom_ops"]

FAMILIES = (bert.FAMILY, distilbert.FAMILY, vit.FAMILY, gpt2.FAMILY, llama.FAMILY)

# What `use_custom_ops` takes for a BERT.
OPS = bert.FAMILY.ops


def use_custom_ops(model: nn.Module, ops: str = "all") -> nn.Module:
    """Makes a model of transformers compute parts of its layers with the Rust ops; returns the model.

    Takes the classes of the models in `FAMILIES` (BertModel, BertForSequenceClassification, ..), and modules that hold
    one (an encoder-decoder, peft's PeftModel, a module of one's own); in f32 or bf16, in training or evaluation.
    Adapters may be there or come later. Changes the model in place; a second call chooses anew. To go back, load a
    checkpoint of it into a plain model, or keep a `copy.deepcopy` from before.

    `ops` is `"all"`, or some of these that the model has, with commas:

    - `gelu`: bias and GELU of the feed-forward layers: of BERT and models with its layers (RoBERTa, XLM-RoBERTa,
      CamemBERT, ELECTRA), DistilBERT, ViT, and in its tanh form of GPT-2.
    - `swiglu`: what is between the linear layers of the feed-forward layers of Llama, Mistral and Qwen2.
    - `softmax`: the softmax of attention, with scale and mask.
    - `dropout`: all dropout but that of an attention without `softmax`. Its random numbers are not PyTorch's: a model
      trains as well, but not to the same losses. Without it, dropout is PyTorch's, with the same use of the generator.
    - `norm`: the residual and layer norm at the end of a block, of BERT and DistilBERT; RMS norm, of Llama.
    - `rope`: rotary position embeddings, of Llama.
    - `embeddings`: the sum of the three embeddings, and its layer norm, of BERT.
    - `pooler`: bias and tanh of the pooler, of BERT; no part of `"all"`, as it is too small to gain from an op.

    All ops of a model are those of one library, as on NeuronCores: `training_ops` for BERT, DistilBERT and ViT with
    `dropout` or `norm`, otherwise `bert_ops`; `activation_ops` for GPT-2; `nn_ops` for Llama. Those of `embeddings` and
    `pooler` are in another, `embedding_ops`, for CPUs: on a Neuron host `"all"` leaves them out.

    Raises:
        TypeError: there is none of these models in `model`, or it has been compiled.
        ValueError: the activation is another than the op's (the exact GELU, `hidden_act="gelu"`, for BERT), or `ops`
            names something that the model has not.
    """
    if hasattr(model, "_orig_mod"):
        raise TypeError("expected a model that is not compiled yet; call use_custom_ops first, then torch.compile")
    models = _models_in(model)
    if not models:
        raise TypeError(_what_differs(model))
    chosen = _chosen(ops, {op: None for _, family in models for op in family.ops})
    changes = [(one, family, family.all_ops if ops == "all" else chosen & set(family.ops)) for one, family in models]
    for one, family, ops_of_it in changes:
        _check(one, family, ops_of_it)
    for one, family, ops_of_it in changes:
        _change(one, family, ops_of_it)
    return model


def check_activation(config: PretrainedConfig) -> None:
    """`ValueError` unless a BERT of this configuration has the activation that the op computes."""
    bert.FAMILY.check_activations(config, {"gelu"})


def _chosen(ops: str, known: Iterable[str]) -> set[str]:
    chosen = {name.strip() for name in ops.split(",")}
    if ops != "all" and not chosen <= set(known):
        raise ValueError(f'ops is "{ops}", expected "all" or some of {", ".join(known)}, with commas')
    return chosen


def _check(model: PreTrainedModel, family: Family, chosen: set[str]) -> None:
    """`ValueError` if the model has something that the chosen ops do not compute."""
    family.check_activations(model.config, chosen)
    replacements = family.replacements(chosen)
    for module in model.modules():
        if (fused := replacements.get(stock_class(module))) is not None:
            fused.check(module)


def _change(model: PreTrainedModel, family: Family, chosen: set[str]) -> None:
    library, replacements = family.library(chosen), family.replacements(chosen)
    # `bert_ops` for layers that call it beside their own.
    for name in {library, *(layer.library for layer in replacements.values()), "bert_ops"}:
        load_library(name)
    for module in model.modules():
        stock = stock_class(module)
        module.__class__ = replacements.get(stock, stock)
    if "softmax" in chosen:
        _own_config(model)
        model.set_attn_implementation(attention_of(library, "dropout" in chosen))
    elif isinstance(model.config._attn_implementation, Attention):
        model.set_attn_implementation("sdpa")


def _models_in(module: nn.Module) -> list[tuple[PreTrainedModel, Family]]:
    """The outermost models of `FAMILIES`, each with its family."""
    for family in FAMILIES:
        if isinstance(module, family.models):
            return [(module, family)]
    return [found for child in module.children() for found in _models_in(child)]


def _what_differs(model: nn.Module) -> str:
    names = ", ".join(model.__name__.removesuffix("PreTrainedModel") for family in FAMILIES for model in family.models)
    message = (
        f"expected a transformers model with layers that there are ops for ({names}), found {type(model).__name__}"
    )
    layer = next((part[0] for part in model.modules() if isinstance(part, nn.ModuleList) and len(part)), None)
    if not isinstance(model, PreTrainedModel) or layer is None:
        return message
    parts = ", ".join(dict.fromkeys(type(part).__name__ for part in layer.children()))
    return (
        f"{message}, whose {type(layer).__name__} is made of {parts}: their forward passes are others, "
        "and the ops have no place in them"
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
