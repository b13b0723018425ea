"""What stands in for an absent image: computed once for each camera and kept until the weights change."""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class KeptPerCamera(Generic[T]):
    """Keeps the result of a computation that depends on a trunk and its cameras alone.

    The version counter of the camera table, which every loading and every optimiser step raises, tells whether the
    weights are still the same.
    """

    def __init__(self) -> None:
        self._value: T | None = None
        self._state: tuple[int, torch.dtype, torch.device] | None = None

    def get(self, table: Tensor, compute: Callable[[], T], *, training: bool) -> T:
        """Return the kept value, or compute it.

        Args:
            table: the camera table of the trunk.
            compute: makes the value.
            training: whether the module is in training mode, in which nothing is kept from before.
        """
        state = (table._version, table.dtype, table.device)
        if self._value is None or self._state != state or training:
            self._value, self._state = compute(), state
        return self._value
