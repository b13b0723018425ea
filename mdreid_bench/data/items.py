"""The one model of what is compared: an object at one moment, seen by one or more sensors."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protocols.exclusion import Labels
from protocols.modality import Modality

SENSOR_FOLDERS: Mapping[Modality, tuple[str, ...]] = {
    Modality.R: ("RGB", "R", "VIS", "VISIBLE"),
    Modality.N: ("NI", "NIR", "N"),
    Modality.T: ("TI", "TIR", "T", "TH", "THERMAL"),
    Modality.D: ("D", "DEPTH"),
}
"""Usual names of the folders of a sensor, in letters of any case."""


class Role(enum.Flag):
    """What an item is used for."""

    TRAIN = 1
    QUERY = 2
    GALLERY = 4


@dataclass(frozen=True)
class Item:
    """One object at one moment.

    Attributes:
        name: unique among the items that it is used with.
        identity: who or what is shown, as in the file name.
        camera: that took it, 0-based.
        scene: as in the file name; 0 where names have none.
        roles: what it is used for.
        images: file of each sensor that saw it, in canonical order, at least one; a strip is the file of several.
    """

    name: str
    identity: int
    camera: int
    scene: int
    roles: Role
    images: Mapping[Modality, str]

    @property
    def sensors(self) -> Modality:
        """The sensors that saw it."""
        return Modality(sum(sensor.value for sensor in self.images))


@dataclass(frozen=True, eq=False)
class Items:
    """n items by column.

    Attributes:
        names: (n,) strings.
        labels: identity, camera and scene of each.
        sensors: (n,) uint8, the value of the ``Modality`` that saw each.
        roles: (n,) uint8, the value of the ``Role`` of each.
        images: the files of each by sensor; empty for items that are known without their images.

    Raises:
        ValueError: when the columns differ in length.
    """

    names: NDArray[np.str_]
    labels: Labels
    sensors: NDArray[np.uint8]
    roles: NDArray[np.uint8]
    images: tuple[Mapping[Modality, str], ...] = ()

    def __post_init__(self) -> None:
        lengths = {self.names.shape, (len(self.labels),), self.sensors.shape, self.roles.shape}
        if len(lengths) > 1 or len(self.images) not in (0, len(self.names)):
            raise ValueError(f"the columns of {len(self.names)} items differ in length")

    @classmethod
    def of(cls, items: Iterable[Item]) -> "Items":
        """Put single items into columns, sorted by name."""
        rows = sorted(items, key=lambda item: item.name)
        labels = ([getattr(item, name) for item in rows] for name in ("identity", "camera", "scene"))
        return cls(
            np.array([item.name for item in rows], dtype=np.str_),
            Labels(*(np.array(column, dtype=np.int64) for column in labels)),
            np.array([item.sensors.value for item in rows], dtype=np.uint8),
            np.array([item.roles.value for item in rows], dtype=np.uint8),
            tuple(item.images for item in rows),
        )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def identities(self) -> int:
        """How many different identities there are."""
        return len(np.unique(self.labels.identity))

    @property
    def query(self) -> NDArray[np.int64]:
        """The rows of the queries, ascending."""
        return self._rows(Role.QUERY)

    @property
    def gallery(self) -> NDArray[np.int64]:
        """The rows of the gallery items, ascending."""
        return self._rows(Role.GALLERY)

    def _rows(self, role: Role) -> NDArray[np.int64]:
        return np.flatnonzero(self.roles & role.value).astype(np.int64, copy=False)

    def batches(self, size: int, first: int = 0) -> list[range]:
        """Return consecutive rows from ``first`` on, at most ``size`` at once and all with the same sensors."""
        borders = np.flatnonzero(np.diff(self.sensors)) + 1
        result = []
        for start, stop in pairwise((0, *borders.tolist(), len(self))):
            result += [range(row, min(row + size, stop)) for row in range(max(start, first), stop, size)]
        return result

    def take(self, rows: ArrayLike) -> "Items":
        """Return the items of the rows chosen by indices or by a boolean mask, in that order."""
        chosen = np.arange(len(self))[np.asarray(rows) if np.size(rows) else []]
        images = tuple(self.images[row] for row in chosen) if self.images else ()
        return Items(self.names[chosen], self.labels.take(chosen), self.sensors[chosen], self.roles[chosen], images)
