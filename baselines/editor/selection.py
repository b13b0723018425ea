"""Spatial-frequency token selection: which patches are kept; nothing here is learned or has a gradient."""

import torch
from torch import Tensor

from baselines.editor.card import Ties


def keep_largest(scores: Tensor, keep: int, ties: Ties = "first") -> Tensor:
    """Return a mask of the ``keep`` largest entries along the last dimension.

    Args:
        scores: (..., P).
        keep: how many, at most P.
        ties: see ``Ties``; with ``all`` more than ``keep`` entries may be chosen.

    Returns:
        (..., P) bool.
    """
    if ties == "all":
        return scores >= scores.topk(keep, dim=-1).values[..., -1:]
    chosen = scores.sort(dim=-1, descending=True, stable=True).indices[..., :keep]
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, chosen, True)


def spatial_mask(rollout: Tensor, keep: int, ties: Ties = "first") -> Tensor:
    """Return the patches that any head attends to most, (B, P) bool, by the class token's rollout (B, heads, P)."""
    return keep_largest(rollout, keep, ties).any(1)


def frequency_mask(brightness: Tensor, patch_size: tuple[int, int], keep: int, ties: Ties = "first") -> Tensor:
    """Return the patches with the most pixels above mid-grey, (B, P) bool.

    The paper averages the Haar wavelet coefficients of the three images over four levels and transforms back. The
    transform is linear, so that is the mean of the images (docs/methods/editor.md, "Token selection").

    Args:
        brightness: (B, H, W), the mean over channels of the normalised images, summed over the modalities; only the
            sign matters.
        patch_size: (height, width) of a patch in pixels.
        keep: number of patches kept.
        ties: see ``Ties``.
    """
    height, width = patch_size
    rows, columns = brightness.shape[1] // height, brightness.shape[2] // width
    patches = brightness.view(len(brightness), rows, height, columns, width)
    return keep_largest((patches > 0).sum((2, 4)).flatten(1), keep, ties)
