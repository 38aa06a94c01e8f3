"""The two ends of a BERT with the Rust ops, those of `embedding_ops` above all: its embeddings and its pooler."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.bert.modeling_bert import BertEmbeddings, BertPooler
from transformers.models.camembert.modeling_camembert import CamembertEmbeddings, CamembertPooler
from transformers.models.electra.modeling_electra import ElectraEmbeddings
from transformers.models.roberta.modeling_roberta import RobertaEmbeddings, RobertaPooler
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaEmbeddings, XLMRobertaPooler

from gpsimd_torch.models.layers import Fused, fused, is_plain
from gpsimd_torch.ops import load_library


class Embeddings(Fused):
    """dropout(LayerNorm(word + token_type + position)), an op for the sum and one for the norm.

    What is given as `inputs_embeds`, and tables that the op does not know, are left to the stock layer. Dropout, and a
    norm that is not a plain one, are called as they are.
    """

    def __setstate__(self, state: dict) -> None:
        """In the process that a pickled model comes to, nothing may be loaded yet."""
        load_library("bert_ops")
        super().__setstate__(state)

    def forward(
        self,
        input_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values_length: int = 0,
    ) -> Tensor:
        """Token ids [B, L] to [B, L, hidden]."""
        if input_ids is None or inputs_embeds is not None or not self._fits():
            return super().forward(input_ids, token_type_ids, position_ids, inputs_embeds, past_key_values_length)
        if position_ids is None:
            position_ids = self._positions(input_ids, past_key_values_length)
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(input_ids)
        word, position, token_type = self.word_embeddings, self.position_embeddings, self.token_type_embeddings
        total = torch.ops.embedding_ops.embedding_sum_forward(
            word.weight,
            position.weight,
            token_type.weight,
            input_ids,
            position_ids.expand_as(input_ids),
            token_type_ids.expand_as(input_ids),
            _padding(word),
            _padding(position),
            _padding(token_type),
        )
        norm = self.LayerNorm
        is_known = is_plain(norm, nn.LayerNorm) and norm.weight is not None and norm.bias is not None
        if is_known and norm.weight.dtype == total.dtype:
            total = torch.ops.bert_ops.layer_norm_forward(total, norm.weight, norm.bias, norm.eps)[0]
        else:
            total = norm(total)
        return self.dropout(total)

    def _fits(self) -> bool:
        tables = (self.word_embeddings, self.position_embeddings, self.token_type_embeddings)
        are_plain = all(
            is_plain(table, nn.Embedding) and table.max_norm is None and not (table.scale_grad_by_freq or table.sparse)
            for table in tables
        )
        return are_plain and len({table.weight.dtype for table in tables}) == 1

    def _positions(self, input_ids: Tensor, before: int) -> Tensor:
        """As the layer numbers them: from 0 on, or, of RoBERTa and its like, from the number of padding on."""
        if hasattr(self, "create_position_ids_from_input_ids"):
            return self.create_position_ids_from_input_ids(input_ids, self.padding_idx, before)
        return self.position_ids[:, before : before + input_ids.shape[1]]


class Pooler(Fused):
    """tanh(dense(x)) of the first token, with bias and tanh in one op.

    Where `dense` is not a plain `torch.nn.Linear` or the activation is another, the stock layer.
    """

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[B, L, hidden] to [B, hidden]."""
        dense = self.dense
        if not is_plain(dense, nn.Linear) or dense.bias is None or not is_plain(self.activation, nn.Tanh):
            return super().forward(hidden_states)
        x = functional.linear(hidden_states[:, 0], dense.weight)
        return torch.ops.embedding_ops.bias_tanh_forward(x, dense.bias.to(x.dtype))


def _padding(table: nn.Embedding) -> int:
    """The row without a gradient; -1 for none."""
    return -1 if table.padding_idx is None else table.padding_idx


# What takes the place of the stock layers, by the ops that `use_custom_ops` names.
ENDS = {
    "embeddings": fused(
        Embeddings,
        "embedding_ops",
        *(BertEmbeddings, RobertaEmbeddings, XLMRobertaEmbeddings, CamembertEmbeddings, ElectraEmbeddings),
    ),
    "pooler": fused(Pooler, "embedding_ops", BertPooler, RobertaPooler, XLMRobertaPooler, CamembertPooler),
}
