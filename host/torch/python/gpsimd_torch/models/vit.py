"""ViT: feed-forward layers with GELU. Its norms come before the blocks, with no residual to fuse with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.models.vit.modeling_vit import ViTMLP, ViTPreTrainedModel

from gpsimd_torch.models.dropout import DROPOUT
from gpsimd_torch.models.families import Activation, Family
from gpsimd_torch.models.layers import Fused, check_exact_gelu, fused, with_bias_in_op


class FeedForward(Fused):
    """The feed-forward block, fc2(gelu(fc1(x))), with bias and GELU in one op."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[.., hidden] to [.., hidden]."""
        self.check(self)
        return self.fc2(with_bias_in_op(getattr(torch.ops, self.library).bias_gelu_forward, self.fc1, hidden_states))

    @classmethod
    def check(cls, layer: nn.Module) -> None:
        """`ValueError` unless the activation is the exact GELU."""
        check_exact_gelu("activation_fn", layer.activation_fn)


FAMILY = Family(
    models=(ViTPreTrainedModel,),
    libraries={
        "bert_ops": {"gelu": fused(FeedForward, "bert_ops", ViTMLP), "softmax": {}},
        "training_ops": {
            "gelu": fused(FeedForward, "training_ops", ViTMLP),
            "softmax": {},
            "dropout": DROPOUT["training_ops"],
        },
    },
    activations={"gelu": Activation("hidden_act", ("gelu",), "the exact, erf form")},
)
