"""Llama, and models with its layers: Mistral and Qwen2, which differ in biases and sliding windows.

RMS norm, SwiGLU and rotary position embeddings are ops of `nn_ops`. Attention may have fewer heads of keys and values
than of queries.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.activations import SiLUActivation
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaMLP,
    LlamaPreTrainedModel,
    LlamaRMSNorm,
    eager_attention_forward,
)
from transformers.models.mistral.modeling_mistral import (
    MistralAttention,
    MistralMLP,
    MistralPreTrainedModel,
    MistralRMSNorm,
)
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2MLP, Qwen2PreTrainedModel, Qwen2RMSNorm

from gpsimd_torch.models.families import Activation, Family
from gpsimd_torch.models.layers import Fused, fused


class Norm(Fused):
    """RMS norm."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Of [.., hidden]; in the wider dtype of this and the weight."""
        dtype = torch.promote_types(hidden_states.dtype, self.weight.dtype)
        op = getattr(torch.ops, self.library).rms_norm_forward
        return op(hidden_states.to(dtype), self.weight.to(dtype), self.variance_epsilon)[0]


class FeedForward(Fused):
    """The feed-forward block, down(silu(gate(x)) up(x)), with what is between the linear layers in one op."""

    def forward(self, x: Tensor) -> Tensor:
        """[.., hidden] to [.., hidden]."""
        self.check(self)
        return self.down_proj(getattr(torch.ops, self.library).swiglu_forward(self.gate_proj(x), self.up_proj(x)))

    @classmethod
    def check(cls, layer: nn.Module) -> None:
        """`ValueError` unless the activation is SiLU."""
        if not isinstance(layer.act_fn, nn.SiLU | SiLUActivation):
            raise ValueError(f"act_fn: expected SiLU, found {layer.act_fn}; the op computes no other activation")


class RotaryAttention(Fused):
    """Attention whose queries and keys are turned by the op."""

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        **options,
    ) -> tuple[Tensor, Tensor | None]:
        """[B, L, hidden] to [B, L, hidden], and the probabilities if the attention returns them."""
        shape = (*hidden_states.shape[:-1], -1, self.head_dim)
        projections = (self.q_proj, self.k_proj, self.v_proj)
        query, key, value = (projection(hidden_states).view(shape).transpose(1, 2) for projection in projections)
        rope = getattr(torch.ops, self.library).rope
        query, key = (rope(x, *position_embeddings, False) for x in (query, key))
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        window = (
            self.sliding_window if hasattr(self, "sliding_window") else getattr(self.config, "sliding_window", None)
        )
        output, probabilities = attend(
            self,
            query,
            key,
            value,
            attention_mask,
            dropout=self.attention_dropout if self.training else 0.0,
            scaling=self.scaling,
            sliding_window=window,
            **options,
        )
        return self.o_proj(output.flatten(2)), probabilities


FAMILY = Family(
    models=(LlamaPreTrainedModel, MistralPreTrainedModel, Qwen2PreTrainedModel),
    libraries={
        "nn_ops": {
            "swiglu": fused(FeedForward, "nn_ops", LlamaMLP, MistralMLP, Qwen2MLP),
            "softmax": {},
            # That of attention is all there is.
            "dropout": {},
            "norm": fused(Norm, "nn_ops", LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm),
            "rope": fused(RotaryAttention, "nn_ops", LlamaAttention, MistralAttention, Qwen2Attention),
        },
    },
    activations={"swiglu": Activation("hidden_act", ("silu", "swish"), "that of SwiGLU")},
)
