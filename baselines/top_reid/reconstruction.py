"""Complementary reconstruction module: the tokens of one sensor predicted from those of another."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdreid_bench.losses.precision import full_precision
from mdreid_bench.models.partial import Seen
from protocols.modality import Modality


def pairs(sensors: Modality) -> tuple[tuple[Modality, Modality], ...]:
    """Return all ordered pairs (source, target)."""
    return tuple((source, target) for source in sensors for target in sensors if source != target)


class TransformerBlock(nn.Module):
    """Pre-norm transformer block; queries, keys and values without bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.projection = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens of the same shape, (B, L, W)."""
        heads = self.qkv(self.norm_attention(tokens)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        tokens = tokens + self.projection(mixed)
        result: Tensor = tokens + self.mlp(self.norm_mlp(tokens))
        return result


class Reconstruction(nn.Module):
    """A transformer block for each ordered pair of sensors (docs/methods/top-reid.md, "Reconstruction")."""

    def __init__(self, width: int, heads: int, sensors: Modality) -> None:
        super().__init__()
        self.pairs = pairs(sensors)
        self.blocks = nn.ModuleDict({pair_name(*pair): TransformerBlock(width, heads) for pair in self.pairs})

    def predict(self, tokens: Tensor, source: Modality, target: Modality) -> Tensor:
        """Return the tokens of ``target`` as predicted from those of ``source``, (B, 1 + P, W)."""
        result: Tensor = self.blocks[pair_name(source, target)](tokens)
        return result

    def filled(self, tokens: Mapping[Modality, Tensor], seen: Seen) -> dict[Modality, Tensor]:
        """Let the mean of the predictions from what a row has stand in for what it lacks, (B, 1 + P, W) by sensor."""
        result, number = {}, torch.stack([seen[m] for m in tokens]).sum(0)
        for target, own in tokens.items():
            total = torch.zeros_like(own)
            for source in tokens:
                rows = (~seen[target] & seen[source]).nonzero()[:, 0]
                if len(rows):
                    predicted = self.predict(tokens[source][rows], source, target)
                    total = total.index_add(0, rows, predicted.to(own.dtype))
            mean = total / number[:, None, None]
            result[target] = torch.where(seen[target][:, None, None], own, mean)
        return result

    def forward(self, tokens: Mapping[Modality, Tensor], seen: Seen | None = None) -> Tensor:
        """Return the sum over the pairs of the mean squared error, a scalar, of tokens (B, 1 + P, W) by sensor.

        Nothing is detached: the gradient reaches the block and both trunks. With ``seen`` an error is the mean over
        the rows that have both sensors, and 0 without any.
        """
        errors = []
        for s, t in self.pairs:
            source, target = tokens[s], tokens[t]
            if seen is not None:
                both = (seen[s] & seen[t]).nonzero()[:, 0]
                source, target = source[both], target[both]
            if len(source):
                errors.append(F.mse_loss(full_precision(self.predict(source, s, t)), full_precision(target)))
        return torch.stack(errors).sum() if errors else 0 * next(iter(tokens.values())).sum()


def pair_name(source: Modality, target: Modality) -> str:
    """Return a name such as ``"R2N"``."""
    return f"{source}2{target}"
