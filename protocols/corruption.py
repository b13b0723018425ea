"""Corruptions of test images: their types and levels, which images are corrupted, and how each one draws its own.

Types and levels are those of CIL-ReID (Chen et al. 2021); see docs/methods/corruption.md. No image is touched here.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal, TypeVar, get_args

from protocols.modality import Modality
from protocols.names import UnknownNameError
from protocols.protocol import Side

LEVELS: Final = (1, 2, 3, 4, 5)
RANDOM: Final = "random"
"""Every image has a type and a level of its own."""
FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur"),
    "weather": ("snow", "frost", "fog", "rain", "spatter", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression", "saturate"),
}
TYPES: Final = tuple(chain.from_iterable(FAMILIES.values()))
COLOUR_ONLY: Final = "saturate"
"""The type that images without colours cannot have."""
SCENE: Final = frozenset({"fog", "frost", "snow", "rain"})
"""Types that lie before all sensors alike when they are correlated."""
OPTICS: Final = frozenset({"motion_blur", "defocus_blur", "glass_blur", "zoom_blur", "gaussian_blur", "spatter"})
"""Types that correlated sensors share, but not their levels."""
Sides = Literal["query", "gallery", "both"]
SIDES: Final[tuple[Sides, ...]] = get_args(Sides)
Distortion = tuple[str, int]
"""Type and level of one image."""
T = TypeVar("T")
_ALL, _EXAMPLE = "all", "fog-3"
_FORM = re.compile(r"([a-z_]+)(?:-([0-9]+))?")


def family_of(name: str) -> str | None:
    """Return the family of a type with or without its level; None for ``random``."""
    kind = name.partition("-")[0]
    return next((family for family, types in FAMILIES.items() if kind in types), None)


def named(text: str) -> tuple[str, ...]:
    """Return what a name stands for: ``random``, or types with their levels.

    ``fog-3`` is itself, ``fog`` all levels of it; a family, or ``all``, stands for its types.

    Raises:
        UnknownNameError: for another name, or a level that there is not.
    """
    key = text.strip().lower()
    if key == RANDOM:
        return (RANDOM,)
    found = _FORM.fullmatch(key)
    groups = {**FAMILIES, _ALL: TYPES, **{kind: (kind,) for kind in TYPES}}
    if found is None or found[1] not in groups or found[2] not in (None, *map(str, LEVELS)):
        valid = [RANDOM, *(f"{kind}-{level}" for kind in TYPES for level in LEVELS), *groups]
        shown = [RANDOM, f"a type with a level from 1 to {LEVELS[-1]}, such as {_EXAMPLE}", *groups]
        raise UnknownNameError("corruption", text, valid, shown)
    return tuple(f"{kind}-{level}" for kind in groups[found[1]] for level in ([found[2]] if found[2] else LEVELS))


@dataclass(frozen=True)
class Corruption:
    """One way to corrupt test images; every draw hangs on seed, repetition, item and sensor alone.

    Attributes:
        name: ``random``, or a type and a level such as ``fog-3``.
        side: whose images are corrupted.
        sensors: letters of the sensors whose images are; empty for all.
        correlated: whether the sensors of an item draw with regard to each other; for ``random`` alone.
        seed: number of the draws.
        repetition: which of several draws, from 0.
        published: name of a published corrupted test set, of which it is a repetition; its first trial counts alone.

    Raises:
        ValueError: for a name that stands for none or several, unknown sensors, or sensors of one type that
            would be correlated.
    """

    name: str
    side: Sides = "both"
    sensors: str = ""
    correlated: bool = False
    seed: int = 0
    repetition: int = 0
    published: str = ""

    def __post_init__(self) -> None:
        if named(self.name) != (self.name,):
            raise ValueError(f"{self.name} is not one corruption")
        if self.sensors and str(Modality.parse(self.sensors)) != self.sensors:
            raise ValueError(f"sensors are written {Modality.parse(self.sensors)}, not {self.sensors}")
        if self.correlated and self.name != RANDOM:
            raise ValueError(f"sensors that all have {self.name} draw nothing that could be correlated")

    @property
    def draws(self) -> str:
        """A name, safe for files, that corruptions share which are repetitions of each other on any side."""
        parts = [self.name, "correlated" if self.correlated else "", self.sensors]
        return ".".join(part for part in (*parts, f"seed{self.seed}" if self.seed else "") if part)

    @property
    def images(self) -> str:
        """A name, safe for files, of the corrupted images, whatever side they stand on."""
        return f"{self.draws}.r{self.repetition}"

    @property
    def cell(self) -> str:
        """A name, safe for files, of all that a result depends on."""
        return f"{self.published or self.draws}.{self.side}.r{self.repetition}"

    def corrupts(self, side: Side) -> bool:
        """Tell whether images of a side are corrupted."""
        return self.side in ("both", side)

    def of(self, sensors: Modality) -> Modality:
        """Return those of some sensors whose images are corrupted."""
        return sensors & Modality.parse(self.sensors) if self.sensors else sensors

    def draw(self, item: str, sensors: Modality) -> dict[Modality, Distortion]:
        """Return type and level for each sensor of an item whose image is corrupted.

        Args:
            item: its name.
            sensors: those that saw it.
        """
        found: dict[Modality, Distortion] = {}
        first: tuple[Modality, Distortion] | None = None
        for sensor in self.of(sensors):
            if self.name != RANDOM:
                kind, _, level = self.name.partition("-")
                found[sensor] = kind, int(level)
            elif self.correlated and first is not None:
                found |= self._beside(*first, item, sensor)
            else:
                found[sensor] = self._own(types_of(sensor), item, sensor)
            first = first or (sensor, found[sensor])
        return found

    def pixel_seed(self, item: str, sensor: Modality) -> int:
        """Return the number, of 32 bits, that the pixels of an image are drawn with."""
        return self._bits(item, sensor, "pixels") & 0xFFFFFFFF

    def _own(self, types: Sequence[str], item: str, sensor: Modality) -> Distortion:
        return self._pick(types, item, sensor, "type"), self._pick(LEVELS, item, sensor, "level")

    def _beside(self, first: Modality, drawn: Distortion, item: str, sensor: Modality) -> dict[Modality, Distortion]:
        """Return what a sensor draws where another one has drawn before; nothing when its image stays clean."""
        kind, level = drawn
        if kind in SCENE:
            return {sensor: drawn}
        if kind in OPTICS:
            # What moves blurs infrared images, which are exposed for longer, at least as much.
            least = level if kind == "motion_blur" and first == Modality.R else LEVELS[0]
            return {sensor: (kind, self._pick([n for n in LEVELS if n >= least], item, sensor, "level"))}
        if self._pick((False, True), item, sensor, "clean"):
            return {}
        own = [kind for kind in types_of(sensor) if kind not in SCENE | OPTICS]
        return {sensor: self._own(own, item, sensor)}

    def _pick(self, choices: Sequence[T], item: str, sensor: Modality, what: str) -> T:
        return choices[self._bits(item, sensor, what) * len(choices) >> 64]

    def _bits(self, item: str, sensor: Modality, what: str) -> int:
        """Hash to 64 bits: the same on every machine, whatever else is drawn, in any order."""
        key = f"{self.seed}|{self.repetition}|{sensor}|{what}|{item}"
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")


def types_of(sensor: Modality) -> tuple[str, ...]:
    """Return the types that images of a sensor can have: all in colour, all but one elsewhere."""
    return TYPES if sensor == Modality.R else tuple(kind for kind in TYPES if kind != COLOUR_ONLY)
