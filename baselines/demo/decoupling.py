"""Hierarchical decoupling module: a learnt query for each subset of the sensors reads the tokens of its members."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from protocols.modality import Modality, subsets

HEADS = 8
"""Of the attention of every reader."""


class SubsetReader(nn.Module):
    """A learnt query and a multi-head attention with which it reads; no residual, no norm, no MLP.

    As the query is one and the same for all items, keys and values need not be computed for every token: <q, Wk y> =
    <Wk^T q, y> and sum a Wv y = Wv (sum a y), which is the same product in another order.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(width) * width**-0.5)
        self.attention = nn.MultiheadAttention(width, HEADS, dropout=dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return what the query reads, (B, D), of tokens (B, L, D)."""
        attention, width = self.attention, tokens.shape[2]
        query_weight, key_weight, value_weight = attention.in_proj_weight.chunk(3)
        query_bias, key_bias, value_bias = attention.in_proj_bias.chunk(3)
        query = F.linear(self.query, query_weight, query_bias).view(HEADS, -1) / (width // HEADS) ** 0.5
        probe = torch.einsum("hd,hdw->hw", query, key_weight.view(HEADS, -1, width))
        offset = (query * key_bias.view(HEADS, -1)).sum(1)
        weights = (tokens @ probe.T + offset).softmax(1)
        weights = F.dropout(weights, attention.dropout, self.training).transpose(1, 2)
        read = torch.einsum("bhw,hdw->bhd", weights @ tokens, value_weight.view(HEADS, -1, width))
        read = read + weights.sum(2)[:, :, None] * value_bias.view(HEADS, -1)
        result: Tensor = attention.out_proj(read.flatten(1))
        return result


class Decoupling(nn.Module):
    """A reader for each non-empty subset of the sensors, in the order R, N, T, RN, RT, NT, RNT."""

    def __init__(self, width: int, sensors: Modality, dropout: float) -> None:
        super().__init__()
        self.subsets = subsets(sensors)
        self.readers = nn.ModuleDict({str(subset): SubsetReader(width, dropout) for subset in self.subsets})

    def forward(self, sequences: Mapping[Modality, Tensor]) -> Tensor:
        """Return the decoupled features (B, S, D) of the S subsets from sequences (B, L, D) of all sensors."""
        members = {subset: torch.cat([sequences[m] for m in subset], dim=1) for subset in self.subsets}
        return torch.stack([self.readers[str(subset)](tokens) for subset, tokens in members.items()], dim=1)
