"""Mixed availability: every item has its own sensors, as in a deployment whose cameras differ."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from protocols.exclusion import Exclusion
from protocols.modality import RNT, Modality, subsets
from protocols.names import UnknownNameError
from protocols.protocol import Side

_FORM = re.compile(r"mixed(?:-(?P<probability>\d+(?:\.\d+)?(?:e-?\d+)?))?(?:-s(?P<seed>\d+))?")
EXAMPLES: tuple[str, ...] = ("mixed", "mixed-0.3", "mixed-0.3-s1")
"""How the setting is written; what is left out takes its default."""


@dataclass(frozen=True)
class MixedAvailability:
    """Every query and gallery item keeps each sensor with one probability, but never loses all of them.

    The draw of an item depends on the seed, the side and the item's key alone, so reordering the gallery or
    limiting it leaves every other item's sensors as they were.

    Attributes:
        probability: chance of a sensor being present before conditioning on a non-empty subset; in (0, 1].
        seed: number of the draw; not negative.
    """

    probability: float = 0.5
    seed: int = 0
    mode: ClassVar[str] = ""
    told: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise ValueError(f"the probability of a sensor must be above 0 and at most 1, not {self.probability}")
        if self.seed < 0:
            raise ValueError(f"the seed must not be negative, not {self.seed}")
        object.__setattr__(self, "probability", float(self.probability))

    @classmethod
    def parse(cls, text: str) -> "MixedAvailability":
        """Read ``"mixed"``, ``"mixed-0.3"``, ``"mixed-s1"`` or ``"mixed-0.3-s1"``, in any case.

        Raises:
            UnknownNameError: when the text has another form or the probability lies outside (0, 1].
        """
        found = _FORM.fullmatch(text.strip().lower())
        probability = float(found["probability"] or cls.probability) if found else 0.0
        if not found or not 0 < probability <= 1:
            rule = f"{EXAMPLES[-1]} (probability above 0 and at most 1, then the seed)"
            raise UnknownNameError("mixed protocol", text, EXAMPLES, shown=[*EXAMPLES[:-1], rule])
        return cls(probability, int(found["seed"] or cls.seed))

    @property
    def needs(self) -> Modality:
        """No sensor in particular: whatever a dataset has is mixed."""
        return Modality(0)

    def choices(self, sensors: Modality = RNT) -> tuple[Modality, ...]:
        """Return the subsets that an item may be asked for by: all of the sensors that a dataset has."""
        return subsets(sensors)

    def subsets(self, side: Side, keys: Sequence[str], sensors: Modality = RNT) -> NDArray[np.uint8]:
        """Return the sensors of each item of a side, ``(n,)`` values of non-empty subsets.

        Of m sensors, a subset S has the probability p^|S| (1-p)^(m-|S|) / (1 - (1-p)^m).

        Args:
            side: which side the items stand on; an item on both sides is drawn once for each.
            keys: one unique name per item, n in all.
            sensors: those of the dataset.
        """
        choices = subsets(sensors)
        sizes = np.array([len(subset) for subset in choices])
        weights = self.probability**sizes * (1 - self.probability) ** (len(sensors) - sizes)
        borders = np.cumsum(weights / weights.sum())[:-1]
        chosen = np.searchsorted(borders, hashed(f"{self.seed}|{side}|", keys), side="right")
        codes = np.array([subset.value for subset in choices], dtype=np.uint8)
        return codes[chosen]

    def exclusion(self, rule: Exclusion, cameras: Iterable[int]) -> Exclusion:
        """Return which gallery items a query must not see: as the rule of the dataset says, whatever its cameras."""
        return rule

    def __str__(self) -> str:
        return f"mixed-{self.probability!r}-s{self.seed}"


def hashed(draw: str, keys: Iterable[str]) -> NDArray[np.float64]:
    """Hash each key, after what tells the draw, to a number in [0, 1): on every machine, unlike Python's ``hash``."""
    digests = (hashlib.blake2b((draw + key).encode(), digest_size=8).digest() for key in keys)
    bits = np.frombuffer(b"".join(digests), dtype="<u8")
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
