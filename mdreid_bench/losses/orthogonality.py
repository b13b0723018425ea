"""Representation orthogonality loss (ROL) of MDReID."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.losses.precision import in_full_precision


def ideal_similarity(modalities: int, device: torch.device | None = None) -> Tensor:
    """Return A, (2M, 2M): identity for the specific vectors, ones for the shared ones, zeros between the groups."""
    ideal = torch.eye(2 * modalities, device=device)
    ideal[modalities:, modalities:] = 1
    return ideal


@in_full_precision
def orthogonality_paper(vectors: Tensor) -> Tensor:
    """Return the loss as the MDReID paper writes it: sum over all entries of (V_sim - A)^2, a scalar.

    The paper does not state the reduction over the batch; here it is the mean.

    Args:
        vectors: (B, 2M, D), the M specific vectors before the M shared ones.
    """
    unit = F.normalize(vectors, dim=-1)
    similarity = unit @ unit.transpose(1, 2)
    return (similarity - ideal_similarity(vectors.shape[1] // 2, vectors.device)).square().sum((1, 2)).mean()


@in_full_precision
def orthogonality_released(vectors: Tensor) -> Tensor:
    """Return the loss as the released code computes it: second-order similarities and a mean over entries.

    Each row of the cosine matrix V is divided by sqrt(sum_j V_ij^2 + 1e-6); the product of that matrix with its
    transpose is compared with A. Zero for the ideal configuration, like the paper's form; 2/3 for six equal vectors.

    Args:
        vectors: (B, 2M, D), the M specific vectors before the M shared ones.
    """
    unit = F.normalize(vectors, dim=-1)
    cosine = unit @ unit.transpose(1, 2)
    rows = cosine / (cosine.square().sum(-1, keepdim=True) + 1e-6).sqrt()
    second = rows @ rows.transpose(1, 2)
    return (second - ideal_similarity(vectors.shape[1] // 2, vectors.device)).square().mean()
