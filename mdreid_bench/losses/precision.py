"""Losses in single precision or better, whatever the precision of the network."""

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")
_HALVES = (torch.float16, torch.bfloat16)


def full_precision(values: Tensor) -> Tensor:
    """Return half-precision ``values`` as float32; anything finer stays as it is."""
    return values.float() if values.dtype in _HALVES else values


def in_full_precision(loss: Callable[Concatenate[Tensor, P], Tensor]) -> Callable[Concatenate[Tensor, P], Tensor]:
    """Switch autocast off inside ``loss`` and raise the half-precision tensors given to it.

    Under autocast a matrix product is rounded to half precision even when its factors are float32; differences of
    such products, as in a distance, are then mostly rounding error.
    """

    @functools.wraps(loss)
    def computed(first: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        with torch.autocast(first.device.type, enabled=False):
            raised = (full_precision(x) if isinstance(x, Tensor) else x for x in args)
            return loss(full_precision(first), *raised, **kwargs)  # type: ignore[arg-type]

    return computed
