"""Hugging Face BERT with the Rust ops, through transformers' own extension points.

What changes in a model, and nothing else does:

- Attention: the model's attention implementation becomes `gpsimd`, a function in transformers' registries
  that computes softmax(scale * q k^T + mask) with `bert_ops::masked_softmax_forward`. Dropout stays
  PyTorch's, at the same place and with the same use of the random generator as in `sdpa` and `eager`.
- Feed-forward: the intermediate layer adds the bias of its `dense` in the activation, `bert_ops::bias_gelu_forward`.

Parameters, their names and the configuration stay: checkpoints go both ways between plain and changed models.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, PretrainedConfig, PreTrainedModel
from transformers.activations import GELUActivation
from transformers.masking_utils import AttentionMaskInterface, bidirectional_mask_function, eager_mask
from transformers.models.bert.modeling_bert import BertIntermediate, BertPreTrainedModel
from transformers.models.camembert.modeling_camembert import CamembertIntermediate, CamembertPreTrainedModel
from transformers.models.electra.modeling_electra import ElectraIntermediate, ElectraPreTrainedModel
from transformers.models.roberta.modeling_roberta import RobertaIntermediate, RobertaPreTrainedModel
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaIntermediate, XLMRobertaPreTrainedModel


class _Attention(str):
    """The name of the attention; where a pickled one comes to, it registers the attention with transformers.

    A part of a model without one of our layers has nothing of ours but this, in its configuration.
    """

    def __reduce__(self) -> tuple:
        return _attention_name, ()


ATTENTION = _Attention("gpsimd")


def _attention_name() -> str:
    _register()
    return ATTENTION


def use_custom_ops(model: nn.Module) -> nn.Module:
    """Makes a BERT model compute attention softmax and bias + GELU with the Rust ops; returns the model.

    Takes transformers' BERT classes (BertModel, BertForSequenceClassification, ...), those of RoBERTa, XLM-RoBERTa,
    CamemBERT and ELECTRA, whose layers are the same, and modules that hold one (an encoder-decoder, peft's PeftModel,
    a module of one's own); in f32 or bf16, in training or evaluation. Adapters may be there or come later. Changes the
    model in place; a second call changes nothing. To go back, load a checkpoint of it into a plain model, or keep a
    `copy.deepcopy` from before.

    Raises:
        TypeError: there is none of these models in `model`, or it has been compiled.
        ValueError: the activation is not the exact GELU (`hidden_act="gelu"`).
    """
    if hasattr(model, "_orig_mod"):
        raise TypeError("expected a model that is not compiled yet; call use_custom_ops first, then torch.compile")
    models = _models_in(model)
    if not models:
        raise TypeError(_what_differs(model))
    intermediates = [module for one in models for module in one.modules() if isinstance(module, tuple(FUSED))]
    for one in models:
        check_activation(one.config)
    for module in intermediates:
        _check_exact(module.intermediate_act_fn)
    _register()
    for module in intermediates:
        module.__class__ = FUSED.get(type(module), type(module))
    for one in models:
        _own_config(one)
        one.set_attn_implementation(ATTENTION)
    return model


def check_activation(config: PretrainedConfig):
    """`ValueError` unless models of this configuration have the activation that the op computes."""
    if config.hidden_act != "gelu":
        raise ValueError(
            f"expected hidden_act 'gelu' (the exact, erf form), found {config.hidden_act!r}; the op computes no other "
            "activation"
        )


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_,
) -> tuple[Tensor, Tensor]:
    """The attention of one layer, with the signature of transformers' `AttentionInterface`.

    query [B, h, Q, d], key and value [B, h, K, d], mask additive (or boolean, True to attend) and
    broadcastable to [B, h, Q, K]; returns [B, Q, h, d] and the probabilities [B, h, Q, K] after dropout.
    """
    if scaling is None:
        scaling = query.size(-1) ** -0.5
    scores = torch.matmul(query, key.transpose(2, 3))
    mask = _mask_for(scores, attention_mask)
    probabilities = torch.ops.bert_ops.masked_softmax_forward(scores, mask, scaling)
    probabilities = functional.dropout(probabilities, p=dropout, training=module.training)
    output = torch.matmul(probabilities, value)
    return output.transpose(1, 2).contiguous(), probabilities


def additive_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    kv_offset: int = 0,
    mask_function=None,
    attention_mask: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
    use_vmap: bool = False,
    **kwargs,
) -> Tensor | None:
    """The additive mask of a model, made once for all layers; with the signature of `AttentionMaskInterface`.

    A padding mask [B, K] becomes [B, 1, 1, K], which the op broadcasts over heads and queries: Q times less
    to write here and to read in each layer than transformers' [B, 1, Q, K]. Causal and custom masks are
    transformers' own. Masked keys get the least finite value, as in `eager`, so that a row with no key at all
    is not NaN.
    """
    plain = mask_function is bidirectional_mask_function and not use_vmap and kv_offset == 0
    if plain and attention_mask is not None and attention_mask.shape == (batch_size, kv_length):
        return torch.where(attention_mask.bool(), 0.0, torch.finfo(dtype).min).to(dtype)[:, None, None, :]
    return eager_mask(
        batch_size,
        q_length,
        kv_length,
        kv_offset=kv_offset,
        mask_function=mask_function,
        attention_mask=attention_mask,
        dtype=dtype,
        use_vmap=use_vmap,
        **kwargs,
    )


class _Fused:
    """The forward pass of an intermediate layer, gelu(dense(x)), with bias and GELU in one op.

    The class of a layer is changed and none of its parts, so that an adapter, a quantiser or a hook finds in `dense`
    the `torch.nn.Linear` that it expects. Where one of them has taken its place, it is called as it is, and the op adds
    a bias of zeros: whatever it makes of the bias (a rescaled output, a copy that is trained) stays its own.
    """

    def __setstate__(self, state: dict):
        """In the process that a pickled model comes to, nothing may be loaded yet."""
        _register()
        super().__setstate__(state)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[.., hidden] to [.., intermediate]."""
        _check_exact(self.intermediate_act_fn)
        dense = self.dense
        if _is_plain(dense):
            x, bias = functional.linear(hidden_states, dense.weight), dense.bias
        else:
            x = dense(hidden_states)
            bias = x.new_zeros(x.shape[-1])
        return torch.ops.bert_ops.bias_gelu_forward(x, bias.to(x.dtype))


class FusedBertIntermediate(_Fused, BertIntermediate):
    """That of BERT."""


class FusedRobertaIntermediate(_Fused, RobertaIntermediate):
    """That of RoBERTa."""


class FusedXLMRobertaIntermediate(_Fused, XLMRobertaIntermediate):
    """That of XLM-RoBERTa."""


class FusedCamembertIntermediate(_Fused, CamembertIntermediate):
    """That of CamemBERT."""


class FusedElectraIntermediate(_Fused, ElectraIntermediate):
    """That of ELECTRA."""


# Same layers, same attention interface, same masks: the files of transformers differ in names and embeddings.
FAMILIES = (
    BertPreTrainedModel,
    RobertaPreTrainedModel,
    XLMRobertaPreTrainedModel,
    CamembertPreTrainedModel,
    ElectraPreTrainedModel,
)
FUSED = {
    BertIntermediate: FusedBertIntermediate,
    RobertaIntermediate: FusedRobertaIntermediate,
    XLMRobertaIntermediate: FusedXLMRobertaIntermediate,
    CamembertIntermediate: FusedCamembertIntermediate,
    ElectraIntermediate: FusedElectraIntermediate,
}


def _register():
    """Loads the ops and names the attention to transformers; again and again does nothing."""
    import gpsimd_torch

    gpsimd_torch.load_library("bert_ops")
    AttentionInterface.register(ATTENTION, attention)
    AttentionMaskInterface.register(ATTENTION, additive_mask)


def _is_plain(dense: nn.Module) -> bool:
    """Whether calling the layer is the linear function and nothing else."""
    hooks = (dense._forward_hooks, dense._forward_pre_hooks, dense._backward_hooks, dense._backward_pre_hooks)
    return type(dense) is nn.Linear and dense.bias is not None and not any(hooks)


def _check_exact(activation: object):
    exact = isinstance(activation, nn.GELU) and activation.approximate == "none"
    if not exact and not isinstance(activation, GELUActivation) and activation is not functional.gelu:
        raise ValueError(
            f"intermediate_act_fn: expected the exact GELU, found {activation}; the op computes no other activation"
        )


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


def _own_config(model: PreTrainedModel):
    """Gives the model a configuration of its own.

    Models built from one configuration object share it, and with it the attention implementation: a stock
    model beside this one would silently change as well.
    """
    if model.config._attn_implementation == ATTENTION:
        return
    shared, own = model.config, copy.deepcopy(model.config)
    for module in model.modules():
        if getattr(module, "config", None) is shared:
            module.config = own


def _mask_for(scores: Tensor, mask: Tensor | None) -> Tensor:
    """The mask as the op takes it: 4 dimensions, contiguous, finite, of the scores' dtype; none masks nothing.

    The least number of f32 is negative infinity in bf16 and f16, and a query that may attend to no key, as those of
    padding, would be NaN: from the next layer on, all of its sequence.
    """
    keys = scores.shape[-1]
    if mask is None:
        return scores.new_zeros(1, 1, 1, keys)
    if mask.dtype == torch.bool:
        mask = torch.where(mask, 0.0, torch.finfo(scores.dtype).min)
    mask = mask[..., :keys]
    for dimension in range(3):
        # A mask that was expanded holds one row many times over.
        if mask.stride(dimension) == 0:
            mask = mask.narrow(dimension, 0, 1)
    return mask.to(scores.dtype).clamp(min=torch.finfo(scores.dtype).min).contiguous()
