"""Samples side by side, and photographic changes of their images."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from mdreid_bench.pretrain.samples import Sample

_GREY, _NEGATIVE, _GAMMA = 0.4, 0.2, 0.35
"""Share of images made a random mixture of their channels, share made a negative, spread of log gamma."""


@dataclass(frozen=True)
class Batch:
    """Images (uint8, or float in -1..1) and captions of samples of one kind, stacked; see :class:`Sample`."""

    images: Tensor
    fields: Tensor
    regions: Tensor
    colours: Tensor
    coloured: Tensor
    words: Tensor
    told: Tensor
    view: Tensor

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Batch":
        """Stack samples."""
        return cls(*(torch.from_numpy(np.stack([getattr(s, f.name) for s in samples])) for f in fields(cls)))

    def rows(self, index: Tensor) -> "Batch":
        """Return some of the samples."""
        return Batch(*(getattr(self, field.name)[index] for field in fields(self)))


def photographed(batch: Batch, random: torch.Generator) -> Batch:
    """Return a batch whose images have another gamma, some in grey and some as a negative; captions say which.

    What is made of one image depends on no other.
    """
    count = len(batch.images)
    grey, negative = (torch.rand(2, count, generator=random) < torch.tensor([[_GREY], [_NEGATIVE]])).unbind()
    weights = -torch.rand(count, 3, generator=random).log()
    gamma = (_GAMMA * torch.randn(count, generator=random)).exp()
    images = batch.images / 255
    mixed = torch.einsum("bchw,bc->bhw", images, weights / weights.sum(1, keepdim=True))
    images = torch.where(grey[:, None, None, None], mixed[:, None], images) ** gamma[:, None, None, None]
    images = torch.where(negative[:, None, None, None], 1 - images, images)
    words = torch.cat([batch.words[:, :-2], torch.stack([grey, negative], dim=1).float()], dim=1)
    true_colours = ~(grey | negative)[:, None]
    return replace(batch, images=2 * images - 1, words=words, coloured=batch.coloured & true_colours)
