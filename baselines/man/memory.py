"""Features of earlier batches, which later ones are compared with."""

import torch
from torch import Tensor


class CrossBatchMemory:
    """The latest features and labels of an epoch, first in, first out (Wang et al. 2020, "Cross-Batch Memory").

    It begins empty in every epoch, since guessed identities are numbered anew, and is no part of what is stored.

    Args:
        epoch: number of the epoch that the features are of.
        capacity: features that are remembered.
        like: (B, D), features of the same kind.
    """

    def __init__(self, epoch: int, capacity: int, like: Tensor) -> None:
        self.epoch, self._seen = epoch, 0
        self._features = torch.zeros(capacity, like.shape[1], dtype=like.dtype, device=like.device)
        self._labels = torch.zeros(capacity, dtype=torch.int64, device=like.device)

    @torch.no_grad()
    def add(self, features: Tensor, labels: Tensor) -> None:
        """Remember features (B, D) with their labels (B,), unless some are not finite."""
        if bool(torch.isfinite(features).all()):
            places = torch.arange(self._seen, self._seen + len(features), device=features.device) % len(self._labels)
            self._features[places], self._labels[places] = features.to(self._features.dtype), labels
            self._seen += len(features)

    def content(self) -> tuple[Tensor, Tensor]:
        """Return the features (N, D) and labels (N,) that are remembered."""
        filled = min(self._seen, len(self._labels))
        return self._features[:filled], self._labels[:filled]
