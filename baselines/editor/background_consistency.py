"""Background consistency constraint: patches that were not selected look alike in all modalities."""

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.losses.precision import full_precision
from mdreid_bench.models.partial import Seen
from protocols.modality import Modality


def background_consistency(tokens: Mapping[Modality, Tensor], selected: Tensor, seen: Seen | None = None) -> Tensor:
    """Return MSE(R, N) + MSE(R, T) + MSE(N, T), a scalar; likewise for other sensors.

    Each mean is taken over B x P x W; the patches that were selected count as zeros (docs/methods/editor.md,
    "Background consistency").

    Args:
        tokens: (B, 1 + P, W) by modality, class token first.
        selected: (B, P) bool.
        seen: which rows have which sensor; a mean is then over those that have both, and 0 without any.
    """
    outside = ~selected.unsqueeze(2)
    background = {m: full_precision(sequence[:, 1:]) * outside for m, sequence in tokens.items()}
    errors = []
    for one, other in combinations(background, 2):
        rows = slice(None) if seen is None else seen[one] & seen[other]
        pair = background[one][rows], background[other][rows]
        errors.append(F.mse_loss(*pair) if len(pair[0]) else 0 * background[one].sum())
    return torch.stack(errors).sum()
