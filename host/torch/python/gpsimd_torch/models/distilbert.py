"""DistilBERT: feed-forward layers with GELU, residuals with layer norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.models.distilbert.modeling_distilbert import FFN, DistilBertPreTrainedModel, TransformerBlock

from gpsimd_torch.models.dropout import DROPOUT, seed_for
from gpsimd_torch.models.families import Activation, Family
from gpsimd_torch.models.layers import Fused, check_exact_gelu, fused, is_plain, with_bias_in_op


class FeedForward(Fused):
    """The feed-forward block, dropout(lin2(gelu(lin1(x)))), with bias and GELU in one op."""

    def ff_chunk(self, input: Tensor) -> Tensor:
        """[.., dim] to [.., dim]; `forward` calls it by chunks of the sequence."""
        self.check(self)
        hidden = with_bias_in_op(getattr(torch.ops, self.library).bias_gelu_forward, self.lin1, input)
        return self.dropout(self.lin2(hidden))

    @classmethod
    def check(cls, layer: nn.Module) -> None:
        """`ValueError` unless the activation is the exact GELU."""
        check_exact_gelu("activation", layer.activation)


class Block(Fused):
    """A layer of the encoder, with each residual and layer norm in one op."""

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **options) -> Tensor:
        """[B, L, dim] to [B, L, dim]."""
        attended, _ = self.attention(hidden_states, attention_mask=attention_mask, **options)
        attended = self._norm(self.sa_layer_norm, attended, hidden_states)
        return self._norm(self.output_layer_norm, self.ffn(attended), attended)

    def _norm(self, norm: nn.Module, x: Tensor, residual: Tensor) -> Tensor:
        if not is_plain(norm, nn.LayerNorm) or norm.weight is None or norm.bias is None:
            return norm(x + residual)
        op = getattr(torch.ops, self.library).dropout_norm_forward
        return op(x, residual, norm.weight, norm.bias, seed_for(x, 0.0), norm.eps, 0.0)[0]


FAMILY = Family(
    models=(DistilBertPreTrainedModel,),
    libraries={
        "bert_ops": {"gelu": fused(FeedForward, "bert_ops", FFN), "softmax": {}},
        "training_ops": {
            "gelu": fused(FeedForward, "training_ops", FFN),
            "softmax": {},
            "dropout": DROPOUT["training_ops"],
            "norm": fused(Block, "training_ops", TransformerBlock),
        },
    },
    activations={"gelu": Activation("activation", ("gelu",), "the exact, erf form")},
)
