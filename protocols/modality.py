"""The three sensors and their non-empty subsets."""

import enum

from protocols.names import UnknownNameError


class Modality(enum.Flag):
    """A set of sensors: R (RGB), N (near infrared), T (thermal infrared).

    Members combine with ``|`` and ``&``; iterating yields the single sensors in the canonical order R, N, T.
    """

    R = 1
    N = 2
    T = 4

    @classmethod
    def parse(cls, text: str) -> "Modality":
        """Read a subset such as ``"NT"``; neither the order of the letters nor their case matters.

        Raises:
            UnknownNameError: for an empty text, a letter other than R, N, T, or a letter given twice.
        """
        letters = text.strip().upper()
        if not letters or len(set(letters)) != len(letters) or not set(letters) <= set("RNT"):
            raise UnknownNameError("modality subset", text, [str(s) for s in SUBSETS])
        result = cls(0)
        for letter in letters:
            result |= cls[letter]
        return result

    def __str__(self) -> str:
        return "".join(str(single.name) for single in self)


R, N, T = Modality.R, Modality.N, Modality.T
SINGLES: tuple[Modality, ...] = (R, N, T)
SUBSETS: tuple[Modality, ...] = (R, N, T, R | N, R | T, N | T, R | N | T)
"""The seven non-empty subsets: fewest sensors first, canonical order within a size."""
ALL_MODALITIES: Modality = R | N | T
