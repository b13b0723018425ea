"""A sparse mixture of experts: a gate sends every token to one of several small networks."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.mfrnet.balance import expert_shares
from baselines.mfrnet.card import MFRNetOptions
from mdreid_bench.losses.precision import full_precision

_LARGEST_SCALE = math.log(100)
_START = math.log(2)
_SPREAD = 0.01


class ShiftedLinear(nn.Module):
    """A linear layer whose bias is called shift, because what is called bias is trained at a rate of its own.

    All of MFRNet's experts, gates and weights have the base rate (docs/methods/mfrnet.md, "Recipe").
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        start = nn.Linear(width, out)
        self.weight, self.shift = nn.Parameter(start.weight.data), nn.Parameter(start.bias.data)

    def forward(self, values: Tensor) -> Tensor:
        """Return (..., out) of (..., width)."""
        return F.linear(values, self.weight, self.shift)


class Gate(nn.Module):
    """Logits of the experts: the cosine between a projected token and a direction for each, times a learnt scale.

    Computed in single precision (docs/methods/mfrnet.md, "Routing").
    """

    def __init__(self, width: int, projected: int, count: int) -> None:
        super().__init__()
        self.projection = ShiftedLinear(width, projected)
        self.directions = nn.Parameter(_SPREAD * torch.randn(projected, count))
        self.temperature = nn.Parameter(torch.full((1,), _START))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (S, n) of tokens (S, W)."""
        with torch.autocast(tokens.device.type, enabled=False):
            layer, raised = self.projection, full_precision
            projected = F.linear(raised(tokens), raised(layer.weight), raised(layer.shift))
            cosine = F.normalize(projected, dim=1) @ F.normalize(raised(self.directions), dim=0)
            return cosine * raised(self.temperature).clamp(max=_LARGEST_SCALE).exp()


class SparseExperts(nn.Module):
    """Two linear layers without an activation for each expert; the output of a token's expert times its gate value.

    Args:
        width: W of a token.
        hidden: size between the two layers.
        projected: size that the gate compares in.
        count: n, number of experts.
        residual: whether an expert adds to its token, in which case its weights start from Xavier's distribution and
            its biases from 0; the others start like torch's linear layers.
        options: of the method; whether experts have weights of their own, and what they take.
    """

    def __init__(
        self, width: int, hidden: int, projected: int, count: int, options: MFRNetOptions, *, residual: bool
    ) -> None:
        super().__init__()
        self.count, self.residual, self.options = count, residual, options
        sets = count if options.independent_experts else 1
        layers = [(ShiftedLinear(width, hidden), ShiftedLinear(hidden, width)) for _ in range(sets)]
        for layer in (layer for pair in layers for layer in pair):
            if residual:
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.shift)
            if options.expert_init == "zero":
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.shift)
        self.first, self.second = (_stacked(same) for same in zip(*layers, strict=True))
        self.gate = Gate(width, projected, count)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, L, W), and what the items add to importance and load of the experts, (B, 2, n).

        The latter is 0 outside of training. Without ``options.capacity`` no token looks at another one.
        """
        flat = tokens.flatten(0, 1)
        clean, noise = self.gate(flat), self.options.gate_noise
        noisy = clean
        if self.training and noise:
            noisy = clean + noise / self.count * torch.randn_like(clean)
        value, chosen = noisy.softmax(dim=1).max(dim=1)
        if self.options.capacity is not None:
            value = value * admitted(value, chosen, self.count, self.options.capacity)
        output = (value.to(flat.dtype)[:, None] * self._experts(flat, chosen)).view_as(tokens)
        if not self.training:
            return output, clean.new_zeros(len(tokens), 2, self.count)
        shares = expert_shares(clean, noisy, noise) if noise else clean.softmax(dim=1).expand(2, -1, -1)
        return output, shares.unflatten(1, tokens.shape[:2]).sum(2).transpose(0, 1)

    def _experts(self, tokens: Tensor, chosen: Tensor) -> Tensor:
        """Let every token (S, W) through the expert of its number."""
        if len(self.first["weight"]) == 1:
            return self._expert(tokens, 0)
        order = chosen.argsort(stable=True)
        pieces = torch.split(tokens[order], chosen.bincount(minlength=self.count).tolist())
        made = torch.cat([self._expert(piece, number) for number, piece in enumerate(pieces)])
        return torch.empty_like(made).index_copy(0, order, made)

    def _expert(self, tokens: Tensor, number: int) -> Tensor:
        hidden = F.linear(tokens, self.first["weight"][number], self.first["shift"][number])
        hidden = F.dropout(hidden, self.options.dropout, self.training)
        made = F.linear(hidden, self.second["weight"][number], self.second["shift"][number])
        return tokens + made if self.residual else made


@torch.no_grad()
def admitted(value: Tensor, chosen: Tensor, count: int, capacity: float) -> Tensor:
    """Tell which tokens their experts take, (S,) bool: each at most ``capacity`` times an equal share.

    Tokens of higher gate values come first, whichever item of the batch they are of; of equal ones, the first.

    Args:
        value: (S,) gate values.
        chosen: (S,) numbers of experts.
        count: of experts.
        capacity: factor of the share, ceil(S / n).
    """
    order = value.argsort(descending=True, stable=True)
    places = F.one_hot(chosen[order], count).cumsum(0).gather(1, chosen[order, None])[:, 0]
    taken = places <= int(capacity * -(-len(value) // count))
    return torch.empty_like(taken).index_copy(0, order, taken)


def _stacked(layers: Any) -> nn.ParameterDict:
    names = ("weight", "shift")
    return nn.ParameterDict({n: nn.Parameter(torch.stack([getattr(x, n).data for x in layers])) for n in names})
