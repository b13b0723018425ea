"""Maximum mean discrepancy (MMD) of two sets of vectors."""

import torch
from torch import Tensor

from mdreid_bench.losses.precision import in_full_precision

KERNELS = 5
"""Gaussian kernels, each twice as wide as the one before; the middle one is as wide as the mean squared distance."""


@in_full_precision
def mean_discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """Return the squared distance of the mean embeddings of two sets in the space of a kernel, (...).

    The biased estimate of Gretton et al. 2012, "A Kernel Two-Sample Test", in the form of Jambigi et al. 2021,
    "MMD-ReID": with s the mean squared distance of two different rows of both sets together, which has no gradient,
    the kernel is the sum of exp(-d^2 / w_i) with w_i = 2^i s / 4 + 1e-9, i = 0..4.

    Args:
        first: (..., N, D).
        second: (..., M, D).
    """
    count = first.shape[-2]
    rows = torch.cat([first, second], dim=-2)
    norms = rows.square().sum(-1)
    products = rows @ rows.transpose(-1, -2)
    squared = (norms[..., :, None] + norms[..., None, :] - 2 * products).clamp(min=0)
    total = rows.shape[-2]
    mean = squared.detach().sum((-1, -2), keepdim=True) / (total**2 - total)
    kernel = torch.stack([(-squared / (mean / 4 * 2**i + 1e-9)).exp() for i in range(KERNELS)]).sum(0)
    own, other = slice(None, count), slice(count, None)
    blocks = ((own, own, 1), (other, other, 1), (own, other, -1), (other, own, -1))
    return torch.stack([sign * kernel[..., a, b].mean((-1, -2)) for a, b, sign in blocks]).sum(0)
