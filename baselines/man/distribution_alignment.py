"""PDA and MMA: features of one dataset are drawn towards prototypes of the other, sensors kept at a distance."""

from collections.abc import Mapping
from itertools import permutations

import torch
from torch import Tensor

from baselines.man.card import Reduction
from mdreid_bench.losses.mean_discrepancy import mean_discrepancy
from protocols.modality import Modality

BySensor = Mapping[Modality, Tensor]
"""(n, D) for each sensor."""


def domain_alignment(
    instances: BySensor, prototypes: BySensor, margin: float, reduction: Reduction = "mean", *, hinge: bool = False
) -> Tensor:
    """Return L_intra + L_inter of features of one dataset and prototypes of the other (MAN, Eq. 12-16), a scalar.

    L_intra adds up the discrepancies (MMD) of the two sets of each sensor. L_inter reduces | margin - MMD | over the
    ordered pairs of different sensors; with one sensor there is none.

    Args:
        instances: (B, D) by sensor.
        prototypes: (C, D) by sensor, without gradient.
        hinge: take max(0, MMD - margin) in place of the absolute difference.
    """
    within = torch.stack([mean_discrepancy(instances[m], prototypes[m]) for m in instances]).sum()
    across = [mean_discrepancy(instances[i], prototypes[j]) for i, j in permutations(instances, 2)]
    return within + (_reduced(across, margin, reduction, hinge) if across else 0)


def modality_alignment(
    instances: BySensor, prototypes: BySensor, margin: float, reduction: Reduction = "mean", *, hinge: bool = False
) -> Tensor:
    """Return L_uma of features of one dataset and prototypes of the other (MAN, Eq. 17-19), a scalar.

    Dist(I, I) + Dist(P, P) + Dist(I, P), where Dist reduces | margin - d | over the ordered pairs of different
    sensors, and d is the squared distance of the means of the two sets; with one sensor it is 0.

    Args: see :func:`domain_alignment`.
    """
    features = {m: x.mean(0) for m, x in instances.items()}
    centres = {m: x.mean(0) for m, x in prototypes.items()}
    if len(instances) == 1:
        return next(iter(instances.values())).new_zeros(())
    terms = []
    for first, second in ((features, features), (centres, centres), (features, centres)):
        distances = [(first[i] - second[j]).square().sum() for i, j in permutations(instances, 2)]
        terms.append(_reduced(distances, margin, reduction, hinge))
    return torch.stack(terms).sum()


def _reduced(values: list[Tensor], margin: float, reduction: Reduction, hinge: bool) -> Tensor:
    apart = torch.stack(values) - margin
    apart = apart.clamp(min=0) if hinge else apart.abs()
    if reduction == "max":
        return apart.max()
    return apart.sum() if reduction == "sum" else apart.mean()
