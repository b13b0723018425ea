"""The auxiliary generator of MUN: a third modality of the low feature maps of two (paper, section 3.2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RATIOS = (2, 4, 6, 12)
"""Sides of the windows that the cross-modality learner averages over."""
_SMALLEST_SCALE = 1e-6


class LayerScale(nn.Module):
    """A learned factor in (0, 1] for each of C channels; values outside count as the nearest one inside."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((channels, 1, 1), start))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, C, H, W), each channel multiplied by its factor."""
        return maps * self.factor.clamp(_SMALLEST_SCALE, 1)


class IntraModalityLearner(nn.Module):
    """Patterns of one sensor at two sizes, widened and narrowed again (paper, Eq. 2-4; docs/methods/mun.md).

    Args:
        channels: C of the maps.
        start: first value of the scale.
    """

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        first, wide = channels // 2, 4 * channels
        rest = channels - first
        self.fine = nn.Conv2d(first, first, 5, padding=2, groups=first)
        self.coarse = nn.Conv2d(rest, rest, 7, padding=3, groups=rest)
        self.norm_expand, self.expand = nn.BatchNorm2d(channels), nn.Conv2d(channels, wide, 1)
        self.local = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.norm_contract, self.contract = nn.BatchNorm2d(wide), nn.Conv2d(wide, channels, 1)
        self.scale = LayerScale(channels, start)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape, (B, C, H, W)."""
        first = self.fine.in_channels
        both = torch.cat([self.fine(maps[:, :first]), self.coarse(maps[:, first:])], dim=1)
        wide = self.expand(self.norm_expand(both))
        wide = self.local(F.relu(wide)) + wide
        result: Tensor = self.scale(self.contract(self.norm_contract(wide)))
        return result


class CrossModalityLearner(nn.Module):
    """Maps of two sensors, averaged over windows of four sizes and brought together (paper, Eq. 5-8).

    Where the maps cannot be divided by a ratio, the windows at the border are smaller.

    Args:
        channels: C of the maps.
        start: first value of the scale.
        dense: whether channels are mixed when a map gets its size back.
    """

    def __init__(self, channels: int, start: float, *, dense: bool) -> None:
        super().__init__()
        groups, count = 1 if dense else channels, 2 * len(RATIOS) * channels
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(channels, channels, ratio, stride=ratio, groups=groups) for ratio in RATIOS
        )
        self.norm, self.mix = nn.BatchNorm2d(count), nn.Conv2d(count, channels, 1)
        self.scale = LayerScale(channels, start)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return one map for the two of a row, (B, C, H, W)."""
        height, width = first.shape[2:]
        pyramids = [
            enlarge(F.avg_pool2d(maps, ratio, ceil_mode=True, count_include_pad=False))[:, :, :height, :width]
            for maps in (first, second)
            for ratio, enlarge in zip(RATIOS, self.enlarge, strict=True)
        ]
        result: Tensor = self.scale(self.mix(self.norm(torch.cat(pyramids, dim=1))))
        return result


class AuxiliaryGenerator(nn.Module):
    """An intra-modality learner for each of two sensors, and the cross-modality learner that they share."""

    def __init__(self, channels: int, start: float, *, dense: bool) -> None:
        super().__init__()
        self.intra = nn.ModuleList(IntraModalityLearner(channels, start) for _ in range(2))
        self.cross = CrossModalityLearner(channels, start, dense=dense)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the maps of the auxiliary modality, (B, C, H, W), of those of two sensors."""
        result: Tensor = self.cross(self.intra[0](first), self.intra[1](second))
        return result
