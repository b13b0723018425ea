"""Attention-triggered mixture of experts: one for each head and subset, weighted by an attention without values."""

import torch
from torch import Tensor, nn

from baselines.pooled_feature import quick_gelu


class AttentionGate(nn.Module):
    """What one query made of all decoupled features attends to, head by head: the weights are the gate."""

    def __init__(self, width: int, subsets: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.linear, self.norm = nn.Linear(subsets * width, width), nn.BatchNorm1d(width)
        self.query, self.key = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)

    def forward(self, decoupled: Tensor) -> Tensor:
        """Return (B, S, H), which add up to 1 over the subsets, of decoupled features (B, S, D)."""
        query = self.query(self.norm(quick_gelu(self.linear(decoupled.flatten(1)))))
        split = (self.heads, query.shape[1] // self.heads)
        keys = self.key(decoupled).view(*decoupled.shape[:2], *split)
        logits = torch.einsum("bhd,bshd->bsh", query.view(-1, *split), keys) / split[1] ** 0.5
        weights: Tensor = logits.softmax(1)
        return weights


class ExpertMixture(nn.Module):
    """All experts run: BN(QuickGELU(Linear)) on the part of a head of a decoupled feature, times its gate value.

    Args:
        width: D of a decoupled feature.
        subsets: S, how many there are.
        heads: H, into how many parts each is divided.
    """

    def __init__(self, width: int, subsets: int, heads: int) -> None:
        super().__init__()
        size = width // heads
        starts = [nn.Linear(size, size) for _ in range(heads * subsets)]
        self.weight = nn.Parameter(torch.stack([s.weight.data for s in starts]).view(heads, subsets, size, size))
        self.bias = nn.Parameter(torch.stack([s.bias.data for s in starts]).view(heads, subsets, size))
        self.norm = nn.BatchNorm1d(heads * subsets * size)
        self.gate = AttentionGate(width, subsets, heads)

    def forward(self, decoupled: Tensor) -> Tensor:
        """Return the weighted outputs (B, S, D), the subsets one by one, of decoupled features (B, S, D)."""
        heads, subsets, size = self.bias.shape
        parts = decoupled.view(-1, subsets, heads, size)
        made = quick_gelu(torch.einsum("bshi,hsoi->bhso", parts, self.weight) + self.bias)
        experts = self.norm(made.flatten(1)).view(-1, heads, subsets, size).transpose(1, 2)
        weighted: Tensor = experts * self.gate(decoupled)[..., None]
        return weighted.flatten(2)
