"""Pooled galleries: every image of every sensor by itself, as where nobody says which camera sees what."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from protocols.exclusion import Exclusion
from protocols.modality import RNT, Modality
from protocols.names import UnknownNameError
from protocols.protocol import Side

POOLED = "pooled"
"""Stands for one setting for each sensor of a dataset."""
_FORM = re.compile(rf"{POOLED}-(?P<query>[a-z])")


@dataclass(frozen=True)
class PooledGallery:
    """Queries by one sensor; each gallery item gives one gallery image for each sensor that saw it.

    A query sees no image of its own camera, of whatever sensor and identity: one camera took them at one place, often
    at one moment. The rule of the dataset holds besides, so positives are the images of the query's identity, by any
    sensor, from the other cameras (on MSVR310, of other scenes too).

    Attributes:
        query: the one sensor of every query.
        told: in a few words what is compared, for records and tables.
    """

    query: Modality
    mode: ClassVar[str] = ""
    told: ClassVar[str] = "the gallery has each image by itself, and a query sees none of its own camera"

    def __post_init__(self) -> None:
        if len(self.query) != 1:
            raise ValueError(f"a query of a pooled gallery has one sensor, not {len(self.query)}")

    @classmethod
    def parse(cls, text: str) -> "PooledGallery":
        """Read ``"pooled-R"``, in any case.

        Raises:
            UnknownNameError: when the text has another form or names no sensor.
        """
        found = _FORM.fullmatch(text.strip().lower())
        if not found or found["query"].upper() not in Modality.__members__:
            examples = [POOLED, *(str(cls(sensor)) for sensor in RNT)]
            raise UnknownNameError("pooled protocol", text, examples)
        return cls(Modality.parse(found["query"]))

    @property
    def needs(self) -> Modality:
        """The sensor of the queries; the gallery has whatever there is."""
        return self.query

    def choices(self, sensors: Modality = RNT) -> tuple[Modality, ...]:
        """Return the subsets that an item may be asked for by: each sensor alone."""
        return tuple(sensors)

    def subsets(self, side: Side, keys: Sequence[str], sensors: Modality = RNT) -> NDArray[np.uint8]:
        """Return the sensor of each query, ``(n,)``, or those of the images of each gallery item, ``(n, sensors)``.

        Args:
            side: which side the items stand on.
            keys: one unique name per item, n in all; only their number matters here.
            sensors: those of the dataset.
        """
        if side == "query":
            return np.full(len(keys), self.query.value, dtype=np.uint8)
        return np.tile(np.array([sensor.value for sensor in sensors], dtype=np.uint8), (len(keys), 1))

    def exclusion(self, rule: Exclusion, cameras: Iterable[int]) -> Exclusion:
        """Return the rule of a dataset with its whole cameras hidden from their own queries."""
        return Exclusion(rule.same, (*rule.hidden, *((int(camera), int(camera)) for camera in cameras)))

    def __str__(self) -> str:
        return f"{POOLED}-{self.query}"
