"""GPT-2: feed-forward layers with the tanh form of GELU; their linear layers are `Conv1D`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.activations import GELUTanh, NewGELUActivation
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP, GPT2PreTrainedModel

from gpsimd_torch.models.dropout import DROPOUT
from gpsimd_torch.models.families import Activation, Family
from gpsimd_torch.models.layers import Fused, fused, with_bias_in_op


class FeedForward(Fused):
    """The feed-forward block, dropout(c_proj(gelu(c_fc(x)))), with bias and GELU in one op."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[.., hidden] to [.., hidden]."""
        self.check(self)
        op = getattr(torch.ops, self.library).bias_gelu_tanh_forward
        return self.dropout(self.c_proj(with_bias_in_op(op, self.c_fc, hidden_states)))

    @classmethod
    def check(cls, layer: nn.Module) -> None:
        """`ValueError` unless the activation is the tanh form of GELU."""
        activation = layer.act
        is_tanh = isinstance(activation, nn.GELU) and activation.approximate == "tanh"
        if not is_tanh and not isinstance(activation, GELUTanh | NewGELUActivation):
            raise ValueError(
                f"act: expected the tanh form of GELU, found {activation}; the op computes no other activation"
            )


FAMILY = Family(
    models=(GPT2PreTrainedModel,),
    libraries={
        "activation_ops": {
            "gelu": fused(FeedForward, "activation_ops", GPT2MLP),
            "softmax": {},
            "dropout": DROPOUT["activation_ops"],
        },
    },
    activations={"gelu": Activation("activation_function", ("gelu_new", "gelu_pytorch_tanh"), "the tanh form")},
)
