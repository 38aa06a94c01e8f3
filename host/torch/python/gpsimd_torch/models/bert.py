"""BERT, and models with its layers: RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA.

The files of transformers differ in names and embeddings, not in layers, attention interface or masks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.models.bert.modeling_bert import BertIntermediate, BertOutput, BertPreTrainedModel, BertSelfOutput
from transformers.models.camembert.modeling_camembert import (
    CamembertIntermediate,
    CamembertOutput,
    CamembertPreTrainedModel,
    CamembertSelfOutput,
)
from transformers.models.electra.modeling_electra import (
    ElectraIntermediate,
    ElectraOutput,
    ElectraPreTrainedModel,
    ElectraSelfOutput,
)
from transformers.models.roberta.modeling_roberta import (
    RobertaIntermediate,
    RobertaOutput,
    RobertaPreTrainedModel,
    RobertaSelfOutput,
)
from transformers.models.xlm_roberta.modeling_xlm_roberta import (
    XLMRobertaIntermediate,
    XLMRobertaOutput,
    XLMRobertaPreTrainedModel,
    XLMRobertaSelfOutput,
)

from gpsimd_torch.models.bert_ends import ENDS
from gpsimd_torch.models.dropout import DROPOUT, seed_for
from gpsimd_torch.models.families import Activation, Family
from gpsimd_torch.models.layers import Fused, check_exact_gelu, fused, is_plain, with_bias_in_op


class Intermediate(Fused):
    """The first half of a feed-forward block, gelu(dense(x)), with bias and GELU in one op."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[.., hidden] to [.., intermediate]."""
        self.check(self)
        return with_bias_in_op(getattr(torch.ops, self.library).bias_gelu_forward, self.dense, hidden_states)

    @classmethod
    def check(cls, layer: nn.Module) -> None:
        """`ValueError` unless the activation is the exact GELU."""
        check_exact_gelu("intermediate_act_fn", layer.intermediate_act_fn)


class BlockEnd(Fused):
    """The end of a block, LayerNorm(dropout(dense(x)) + residual), with all after `dense` in one op.

    A dropout that is not the op's own is called before it.
    """

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """[.., any] and the residual [.., hidden], to [.., hidden]."""
        hidden_states = self.dense(hidden_states)
        dropout, norm = self.dropout, self.LayerNorm
        p = 0.0
        if is_plain(dropout, DROPOUT[self.library][nn.Dropout]):
            p = dropout.p if dropout.training else 0.0
        else:
            hidden_states = dropout(hidden_states)
        if not is_plain(norm, nn.LayerNorm) or norm.weight is None or norm.bias is None:
            return norm(hidden_states + input_tensor)
        return getattr(torch.ops, self.library).dropout_norm_forward(
            hidden_states, input_tensor, norm.weight, norm.bias, seed_for(hidden_states, p), norm.eps, p
        )[0]


_INTERMEDIATES = (
    BertIntermediate,
    RobertaIntermediate,
    XLMRobertaIntermediate,
    CamembertIntermediate,
    ElectraIntermediate,
)
_ENDS = (
    *(BertSelfOutput, RobertaSelfOutput, XLMRobertaSelfOutput, CamembertSelfOutput, ElectraSelfOutput),
    *(BertOutput, RobertaOutput, XLMRobertaOutput, CamembertOutput, ElectraOutput),
)

FAMILY = Family(
    models=(
        BertPreTrainedModel,
        RobertaPreTrainedModel,
        XLMRobertaPreTrainedModel,
        CamembertPreTrainedModel,
        ElectraPreTrainedModel,
    ),
    libraries={
        "bert_ops": {"gelu": fused(Intermediate, "bert_ops", *_INTERMEDIATES), "softmax": {}},
        "training_ops": {
            "gelu": fused(Intermediate, "training_ops", *_INTERMEDIATES),
            "softmax": {},
            "dropout": DROPOUT["training_ops"],
            "norm": fused(BlockEnd, "training_ops", *_ENDS),
        },
    },
    activations={"gelu": Activation("hidden_act", ("gelu",), "the exact, erf form")},
    beside=ENDS,
    # Of one token of each text: too small to gain from an op.
    by_name_only=frozenset({"pooler"}),
)
