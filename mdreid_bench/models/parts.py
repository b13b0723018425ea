"""Parts that several methods have: classification heads, and what stands in for an absent image."""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class BottleneckHead(nn.Module):
    """Batch normalisation, then a linear classifier without bias; used in training only.

    Luo et al. 2019, "Bag of Tricks" (BNNeck), where the bias of the normalisation stays zero; the weights of the
    classifier start from N(0, 0.001^2).

    Args:
        width: D, size of the feature.
        classes: C, number of training identities.
        train_bias: whether that bias is trained all the same.
    """

    def __init__(self, width: int, classes: int, *, train_bias: bool = False) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.norm.bias.requires_grad_(train_bias)
        self.classifier = nn.Linear(width, classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, feature: Tensor) -> Tensor:
        """Return logits (B, C) of features (B, D)."""
        logits: Tensor = self.classifier(self.norm(feature))
        return logits


class KeptPerCamera(Generic[T]):
    """Keeps the result of a computation that depends on a trunk and its cameras alone.

    The version counter of the camera table, which every loading and every optimiser step raises, tells whether the
    weights are still the same. Tensors made in inference mode have no such counter, and with them nothing is kept.
    """

    def __init__(self) -> None:
        self._value: T | None = None
        self._state: tuple[int, torch.dtype, torch.device] | None = None

    def get(self, table: Tensor, compute: Callable[[], T], *, training: bool) -> T:
        """Return what was computed for this camera table of a trunk, or compute it; in training nothing is kept."""
        state = None if table.is_inference() else (table._version, table.dtype, table.device)
        if self._value is None or state is None or self._state != state or training:
            self._value, self._state = compute(), state
        return self._value
