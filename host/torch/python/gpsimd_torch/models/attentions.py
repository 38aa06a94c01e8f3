"""Attention through transformers' registries: softmax by the op, or `sdpa` where nobody asks for probabilities.

softmax(scale * q k^T + mask) is `masked_softmax_forward`, with PyTorch's dropout at the same place and with the same
use of the random generator as in `sdpa` and `eager`; or, with dropout, `softmax_dropout_forward`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, bidirectional_mask_function, eager_mask

from gpsimd_torch.models.dropout import seed_for
from gpsimd_torch.ops import load_library


class Attention(str):
    """The name of an attention; where a pickled one comes to, it registers the attention with transformers.

    A part of a model without one of our layers has nothing of ours but this, in its configuration.
    """

    def __reduce__(self) -> tuple:
        """As what registers it."""
        return _registered, (str(self),)


def attention(library: str, fused_dropout: bool) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """The attention with the ops of a library, as a function with the signature of transformers' `AttentionInterface`.

    Of query [B, h, Q, d], key and value [B, g, K, d], where each of the g heads serves h / g neighbours of the query,
    and a mask, additive (or boolean, True to attend) and broadcastable to [B, h, Q, K], the function returns
    [B, Q, h, d] and the probabilities [B, h, Q, K] after dropout, or none of these from `sdpa`: see `is_left_to_sdpa`.
    Without a mask, a module that `is_causal` has that of its positions. With `fused_dropout` dropout is the op's,
    otherwise PyTorch's.
    """
    softmax = _SOFTMAX[library]

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        dropout: float = 0.0,
        **options,
    ) -> tuple[Tensor, Tensor | None]:
        scaling = query.size(-1) ** -0.5 if scaling is None else scaling
        if attention_mask is None and getattr(module, "is_causal", False):
            attention_mask = _causal_mask(query, key)
        if is_left_to_sdpa(module, key, options):
            output = functional.scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask=attention_mask,
                scale=scaling,
                enable_gqa=query.shape[1] != key.shape[1],
            )
            return output.transpose(1, 2).contiguous(), None
        scores = _by_heads(query, key.transpose(2, 3))
        mask = _mask_for(scores, attention_mask)
        p = dropout if module.training else 0.0
        if fused_dropout:
            probabilities = softmax(scores, mask, scaling, p)
        else:
            probabilities = functional.dropout(softmax(scores, mask, scaling, 0.0), p)
        return _by_heads(probabilities, value).transpose(1, 2).contiguous(), probabilities

    return attend


def _by_heads(a: Tensor, b: Tensor) -> Tensor:
    """[B, h, Q, n] times [B, g, n, m]: [B, h, Q, m], without a copy of `b` for each of its h / g heads of `a`."""
    if a.shape[1] == b.shape[1]:
        return torch.matmul(a, b)
    batch, heads, queries, inner = a.shape
    groups = a.reshape(batch, b.shape[1], heads // b.shape[1] * queries, inner)
    return torch.matmul(groups, b).view(batch, heads, queries, b.shape[-1])


def _causal_mask(query: Tensor, key: Tensor) -> Tensor | None:
    """The mask of queries that are the last of the keys, True to attend."""
    queries, keys = query.shape[2], key.shape[2]
    if queries == 1:
        return None
    all_pairs = torch.ones(1, 1, queries, keys, dtype=torch.bool, device=query.device)
    return all_pairs.tril(keys - queries)


def _masked_softmax(scores: Tensor, mask: Tensor, scaling: float, p: float) -> Tensor:
    return torch.ops.bert_ops.masked_softmax_forward(scores, mask, scaling)


def _softmax_dropout(library: str) -> Callable[[Tensor, Tensor, float, float], Tensor]:
    def softmax(scores: Tensor, mask: Tensor, scaling: float, p: float) -> Tensor:
        ops = getattr(torch.ops, library)
        return ops.softmax_dropout_forward(scores, mask, seed_for(scores, p), scaling, p)[0]

    return softmax


# Of each library, the softmax of scores, mask, scale and the probability to drop.
_SOFTMAX = {
    "bert_ops": _masked_softmax,
    **{library: _softmax_dropout(library) for library in ("training_ops", "activation_ops", "nn_ops")},
}


def attention_of(library: str, fused_dropout: bool) -> Attention:
    """The name of an attention, which is registered with transformers; again and again does nothing."""
    return _registered(f"gpsimd_{library}" + "_dropout" * fused_dropout)


def _registered(name: str) -> Attention:
    library = name.removeprefix("gpsimd_").removesuffix("_dropout")
    load_library(library)
    AttentionInterface.register(name, attention(library, name.endswith("_dropout")))
    AttentionMaskInterface.register(name, additive_mask)
    return Attention(name)


def is_left_to_sdpa(module: nn.Module, key: Tensor, options: dict) -> bool:
    """Whether this call is PyTorch's own `scaled_dot_product_attention`: inference in f32 on a CPU with long sequences.

    There nothing keeps the probabilities, and PyTorch's fused attention, which never writes them, is faster: measured,
    by 1.2 at 512 tokens. At 128 tokens, in bf16, and whenever something needs the probabilities, the op is.
    """
    config = getattr(module, "config", None)
    wants_probabilities = options.get("output_attentions") or getattr(config, "output_attentions", False)
    return (
        not torch.is_grad_enabled()
        and not module.training
        and not wants_probabilities
        and key.device.type == "cpu"
        and key.dtype == torch.float32
        and key.shape[2] > _LONG
    )


# Keys beyond which `sdpa` is faster.
_LONG = 256


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
