"""Background consistency constraint: patches that were not selected look alike in all modalities."""

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.losses.precision import full_precision
from protocols.modality import Modality


def background_consistency(tokens: Mapping[Modality, Tensor], selected: Tensor) -> Tensor:
    """Return MSE(R, N) + MSE(R, T) + MSE(N, T), a scalar; likewise for other sensors.

    Each mean is taken over B x P x W; the patches that were selected count as zeros (docs/methods/editor.md,
    "Background consistency").

    Args:
        tokens: (B, 1 + P, W) by modality, class token first.
        selected: (B, P) bool.
    """
    outside = ~selected.unsqueeze(2)
    background = [full_precision(sequence[:, 1:]) * outside for sequence in tokens.values()]
    return torch.stack([F.mse_loss(one, other) for one, other in combinations(background, 2)]).sum()
