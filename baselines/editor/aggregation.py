"""Hierarchical masked aggregation: selected tokens are mixed within each sensor, then across all."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.editor.masked_block import MaskedBlock
from protocols.modality import Modality


@dataclass(frozen=True)
class Aggregated:
    """Feature (B, n W), a block for each of the n sensors; class tokens (B, W) by sensor, between the two stages."""

    feature: Tensor
    classes: Mapping[Modality, Tensor]


class HierarchicalAggregation(nn.Module):
    """An independent stage for each modality and a collaborative one.

    See docs/methods/editor.md, "Hierarchical masked aggregation". The mean over selected patches divides by their
    number. The released code counts rows whose sum is not zero, which is the same number unless a selected row
    happens to sum to zero.
    """

    def __init__(self, width: int, heads: int, sensors: Modality) -> None:
        super().__init__()
        self.sensors = sensors
        self.independent = nn.ModuleDict({str(m): MaskedBlock(width, heads) for m in sensors})
        self.collaborative = MaskedBlock(width, heads)
        self.norm = nn.LayerNorm(width)
        self.reduce = nn.ModuleDict({str(m): nn.Linear(2 * width, width) for m in sensors})
        for layer in self.reduce.values():
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Mapping[Modality, Tensor], selected: Tensor) -> Aggregated:
        """Aggregate the selected patches and the class tokens.

        Args:
            tokens: (B, 1 + P, W) by modality, class token first.
            selected: (B, P) bool, the same for all modalities.
        """
        mask = torch.cat([selected.new_ones(len(selected), 1), selected], dim=1)
        kept = mask.unsqueeze(2)
        alone = {m: self.independent[str(m)](tokens[m] * kept, mask) for m in self.sensors}
        joined = torch.cat([alone[m] for m in self.sensors], dim=1)
        together = self.collaborative(joined, mask.repeat(1, len(self.sensors)))
        parts = self.norm(together).chunk(len(self.sensors), dim=1)
        count = selected.sum(1, keepdim=True)
        blocks = []
        for m, part in zip(self.sensors, parts, strict=True):
            part = part * kept
            blocks.append(self.reduce[str(m)](torch.cat([part[:, 0], part[:, 1:].sum(1) / count], dim=1)))
        return Aggregated(torch.cat(blocks, dim=1), {m: alone[m][:, 0] for m in self.sensors})
