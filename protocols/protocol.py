"""A protocol: which sensors the query has and which the gallery has."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from protocols.exclusion import Exclusion
from protocols.modality import RNT, Modality, subsets
from protocols.names import UnknownNameError

Side = Literal["query", "gallery"]
"""The two sides of a retrieval: what is asked with, and what is asked for."""
_MODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Protocol:
    """One any-to-any retrieval setting, written ``R-to-NT``; of three sensors there are 7 x 7 = 49.

    A dataset may offer several ways to draw what is compared, such as ``N-to-R@indoor`` beside its usual ``N-to-R``.

    Attributes:
        query: sensors of every query; non-empty.
        gallery: sensors of every gallery item; non-empty.
        mode: name of the way, as the dataset calls it; empty for the usual one.
    """

    query: Modality
    gallery: Modality
    mode: str = ""
    told: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not self.query or not self.gallery:
            raise ValueError("a protocol needs at least one sensor on each side")

    @classmethod
    def parse(cls, text: str) -> "Protocol":
        """Read ``"R-to-NT"``; the order of letters and the case do not matter, the order of the sides does.

        Raises:
            UnknownNameError: when the text is not two non-empty subsets joined by ``-to-``, with or without a mode.
        """
        sides, at, mode = text.strip().lower().partition("@")
        try:
            if at and not _MODE.fullmatch(mode):
                raise ValueError(f"{mode!r} is no name of a mode")
            query, gallery = (Modality.parse(side) for side in sides.split("-to-"))
        except ValueError as error:
            raise UnknownNameError("protocol", text, [str(p) for p in protocols_of(RNT)]) from error
        return cls(query, gallery, mode)

    @property
    def needs(self) -> Modality:
        """The sensors that a dataset must have."""
        return self.query | self.gallery

    def choices(self, sensors: Modality = RNT) -> tuple[Modality, ...]:
        """Return the subsets that an item may be asked for by, whatever sensors there are."""
        return (self.query, self.gallery)

    @property
    def matched(self) -> bool:
        """True when both sides have the same sensors."""
        return self.query == self.gallery

    def subsets(self, side: Side, keys: Sequence[str], sensors: Modality = RNT) -> NDArray[np.uint8]:
        """Return the sensors of each item of a side, ``(n,)`` values of subsets: here, the same for all.

        Args:
            side: which side the items stand on.
            keys: one unique name per item, n in all; only their number matters here.
            sensors: those of the dataset; they do not matter here.
        """
        modality = self.query if side == "query" else self.gallery
        return np.full(len(keys), modality.value, dtype=np.uint8)

    def exclusion(self, rule: Exclusion, cameras: Iterable[int]) -> Exclusion:
        """Return which gallery items a query must not see: as the rule of the dataset says, whatever its cameras."""
        return rule

    def __str__(self) -> str:
        return f"{self.query}-to-{self.gallery}" + (f"@{self.mode}" if self.mode else "")


_WORDS = {"visible": "r", "rgb": "r", "nir": "n", "thermal": "t", "tir": "t", "depth": "d"}


@cache
def protocols_of(sensors: Modality) -> tuple[Protocol, ...]:
    """Return every pair of non-empty subsets of some sensors, the query's outermost."""
    return tuple(Protocol(query, gallery) for query in subsets(sensors) for gallery in subsets(sensors))


def guessed(text: str) -> str | None:
    """Return the protocol that is meant by sensors in words or joined otherwise: ``"RGB-to-NIR"``, ``"R2NT"``."""
    sides = re.split(r"\s*(?:-?to-?|-*>|2|\N{RIGHTWARDS ARROW})\s*", text.strip().lower())
    for word, letter in _WORDS.items():
        sides = [side.replace(word, letter) for side in sides]
    try:
        query, gallery = (Modality.parse(re.sub(r"[\s+&_,]", "", side)) for side in sides)
    except ValueError:
        return None
    return str(Protocol(query, gallery))
