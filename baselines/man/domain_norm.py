"""Batch normalisation with statistics of each dataset by itself (DSBN, Chang et al. 2019), as IDM has it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class DomainNorm(nn.Module):
    """Two batch normalisations: of the labelled dataset, and of the other one, which is used everywhere else.

    Args:
        norm: becomes that of the other one.

    Attributes:
        halves: whether the first half of a batch is of the labelled dataset.
    """

    halves = False

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.other, self.labelled = norm, nn.BatchNorm2d(norm.num_features)

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise maps (B, C, h, w)."""
        if not self.halves:
            result: Tensor = self.other(maps)
            return result
        first, second = maps.chunk(2)
        return torch.cat([self.labelled(first), self.other(second)])


def has_norms(module: nn.Module) -> bool:
    """Tell whether there are batch normalisations in a module."""
    return any(isinstance(child, nn.BatchNorm2d) for child in module.modules())


def norms_by_domain(module: nn.Module) -> None:
    """Put a normalisation for each dataset in the place of every one in a module."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, DomainNorm(child))
        else:
            norms_by_domain(child)


def part(module: nn.Module) -> None:
    """Let both normalisations of each place be the same from now on, until training parts them."""
    for child in _all(module):
        child.labelled.load_state_dict(child.other.state_dict())


@contextmanager
def split(module: nn.Module) -> Iterator[None]:
    """Normalise the two halves of batches by themselves, within a block."""
    children = list(_all(module))
    for child in children:
        child.halves = True
    try:
        yield
    finally:
        for child in children:
            child.halves = False


def _all(module: nn.Module) -> Iterator[DomainNorm]:
    return (child for child in module.modules() if isinstance(child, DomainNorm))
