"""Prototypes: one vector for each class, in which items near the centre weigh most, kept up to date by every step."""

import torch
from torch import Tensor
from torch.nn import functional as F


def prototypes(
    features: Tensor, labels: Tensor, classes: int, *, literal: bool = False, mean: bool = False
) -> Tensor:
    """Return the prototype of each class, (classes, D); NaN for classes without a row (MAN, Eq. 7 and 8).

    The weight of a row is the softmax over its class of the cosine with the mean of the class: 1 - Cos of the paper,
    where Cos is called a distance. Weights add up to 1, so the further factor 1 / c of the paper would shrink a
    prototype by the size of its class; here prototypes are of unit length instead.

    Args:
        features: (n, D).
        labels: (n,) in 0..classes-1.
        literal: keep the factor 1 / c and the length.
        mean: give all rows of a class the same weight.
    """
    found = features.new_full((classes, features.shape[1]), float("nan"))
    for label in labels.unique().tolist():  # type: ignore[no-untyped-call]
        rows = features[labels == label]
        likeness = F.cosine_similarity(rows, rows.mean(0, keepdim=True), dim=1)
        weights = (torch.zeros_like(likeness) if mean else likeness).softmax(0)
        found[label] = weights @ rows / (len(rows) if literal else 1)
    return found if literal else F.normalize(found, dim=1)


@torch.no_grad()
def update(bank: Tensor, features: Tensor, labels: Tensor, momentum: float, *, literal: bool = False) -> None:
    """Move the prototypes (C, D) of the classes of a batch towards their features, in place (MAN, Eq. 11).

    V <- momentum V + (1 - momentum) f, then unit length unless literal; other classes stay as they are. With the mean
    of a class the order of the batch plays no part, as it would if each feature moved the prototype by itself.

    Args:
        features: (B, D).
        labels: (B,) in 0..C-1.
    """
    classes, rows = labels.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    sums = bank.new_zeros(len(classes), bank.shape[1]).index_add_(0, rows, features.to(bank.dtype))
    means = sums / torch.bincount(rows, minlength=len(classes))[:, None]
    moved = momentum * bank[classes] + (1 - momentum) * means
    bank[classes] = moved if literal else F.normalize(moved, dim=1)
