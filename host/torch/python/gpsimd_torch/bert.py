"""Hugging Face BERT with the Rust ops, through transformers' own extension points.

What changes in a model, and nothing else does:

- Attention: the model's attention implementation becomes `gpsimd`, a function in transformers' registries
  that computes softmax(scale * q k^T + mask) with `bert_ops::masked_softmax_forward`. Dropout stays
  PyTorch's, at the same place and with the same use of the random generator as in `sdpa` and `eager`.
- Feed-forward: `intermediate.dense` leaves its bias to the activation, `bert_ops::bias_gelu_forward`.

Parameters, their names and the configuration stay: checkpoints go both ways between plain and changed models.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, bidirectional_mask_function, eager_mask
from transformers.models.bert.modeling_bert import BertIntermediate, BertPreTrainedModel

ATTENTION = "gpsimd"


def use_custom_ops(model: BertPreTrainedModel) -> BertPreTrainedModel:
    """Makes a BERT model compute attention softmax and bias + GELU with the Rust ops; returns the model.

    Takes any of transformers' BERT classes (BertModel, BertForSequenceClassification, ...), in f32 or bf16,
    in training or evaluation. Changes the model in place; a second call changes nothing. To go back, load a
    checkpoint of it into a plain model, or keep a `copy.deepcopy` from before.

    Raises:
        TypeError: the model is not transformers' BERT, or a layer has been replaced (by an adapter, say).
        ValueError: the activation is not the exact GELU (`hidden_act="gelu"`).
    """
    if not isinstance(model, BertPreTrainedModel):
        raise TypeError(
            f"expected a transformers BERT model (BertModel, BertForSequenceClassification, ...), found "
            f"{type(model).__name__}; pass the BERT model itself, before it is wrapped or compiled"
        )
    if model.config.hidden_act != "gelu":
        raise ValueError(
            f"expected hidden_act 'gelu' (the exact, erf form), found {model.config.hidden_act!r}; the op "
            "computes no other activation"
        )
    intermediates = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, BertIntermediate) and not isinstance(module.intermediate_act_fn, BiasGelu)
    ]
    for name, module in intermediates:
        if type(module.dense) is not nn.Linear or module.dense.bias is None:
            raise TypeError(
                f"{name}.dense: expected torch.nn.Linear with a bias, found {type(module.dense).__name__}; "
                "call use_custom_ops before adapters or quantisation replace layers"
            )
    import gpsimd_torch

    gpsimd_torch.load_library("bert_ops")
    AttentionInterface.register(ATTENTION, attention)
    AttentionMaskInterface.register(ATTENTION, additive_mask)
    for _, module in intermediates:
        module.dense = LinearBeforeBias.of(module.dense)
        module.intermediate_act_fn = BiasGelu(module)
    _own_config(model)
    model.set_attn_implementation(ATTENTION)
    return model


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


class LinearBeforeBias(nn.Linear):
    """A linear layer that owns a bias and leaves adding it to the activation that follows."""

    @classmethod
    def of(cls, dense: nn.Linear) -> "LinearBeforeBias":
        """The same layer: it shares weight and bias with `dense`."""
        linear = cls(dense.in_features, dense.out_features, device="meta")
        linear.weight, linear.bias = dense.weight, dense.bias
        return linear.train(dense.training)

    def forward(self, x: Tensor) -> Tensor:
        """[.., in] to [.., out], without the bias."""
        return functional.linear(x, self.weight)


class BiasGelu(nn.Module):
    """gelu(x + bias), with the bias of the linear layer before it; x [.., H] of any float dtype of the op."""

    def __init__(self, intermediate: BertIntermediate):
        """`intermediate`: the feed-forward layer whose activation this is."""
        super().__init__()
        # In a tuple, so that it does not become a submodule: the state_dict must not name the bias twice.
        self._intermediate = (intermediate,)

    def forward(self, x: Tensor) -> Tensor:
        """Raise TypeError if the linear layer was replaced since: its bias would be added twice or never."""
        (intermediate,) = self._intermediate
        dense = intermediate.dense
        if not isinstance(dense, LinearBeforeBias):
            raise TypeError(
                f"intermediate.dense: expected {LinearBeforeBias.__name__}, found {type(dense).__name__}; "
                "the layer was replaced after use_custom_ops, replace layers first"
            )
        return torch.ops.bert_ops.bias_gelu_forward(x, dense.bias.to(x.dtype))


def _own_config(model: BertPreTrainedModel):
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
    return mask.clamp(min=torch.finfo(scores.dtype).min).to(scores.dtype).contiguous()
