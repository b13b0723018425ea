"""Sensors and sets of them. A dataset declares which sensors it has; their non-empty subsets follow from that."""

import enum
from functools import cache
from itertools import combinations

from protocols.names import UnknownNameError


class Modality(enum.Flag):
    """A set of sensors: R (RGB), N (near infrared), T (thermal infrared), D (depth).

    Members combine with ``|`` and ``&``; iterating yields the single sensors in the order in which they stand here,
    the canonical one. A new sensor is a new line at the end: no stored value changes.
    """

    R = 1
    N = 2
    T = 4
    D = 8

    @classmethod
    def parse(cls, text: str) -> "Modality":
        """Read a subset such as ``"NT"``; neither the order of the letters nor their case matters.

        Raises:
            UnknownNameError: for an empty text, a letter that stands for no sensor, or a letter given twice.
        """
        letters = text.strip().upper()
        if not letters or len(set(letters)) != len(letters) or not set(letters) <= set(cls.__members__):
            raise UnknownNameError("subset of sensors", text, [str(s) for s in subsets(RNT)])
        result = cls(0)
        for letter in letters:
            result |= cls[letter]
        return result

    def __str__(self) -> str:
        return "".join(str(single.name) for single in self)


R, N, T, D = Modality
RNT: Modality = R | N | T
"""The sensors of RGBNT201, RGBNT100 and MSVR310."""


@cache
def subsets(sensors: Modality) -> tuple[Modality, ...]:
    """Return the non-empty subsets of some sensors: fewest sensors first, canonical order within a size."""
    singles = tuple(sensors)
    found = []
    for size in range(1, len(singles) + 1):
        for chosen in combinations(singles, size):
            subset = Modality(0)
            for single in chosen:
                subset |= single
            found.append(subset)
    return tuple(found)
