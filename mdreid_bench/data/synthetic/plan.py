"""How a dataset says what its synthetic copy consists of, before any image is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from protocols.modality import RNT, Modality

Scale = Literal["tiny", "full"]


@dataclass(frozen=True)
class PlannedFrame:
    """One item to draw.

    Attributes:
        identity: label; the same label is the same person or vehicle.
        camera: number of the camera that takes it.
        scene: what the light depends on, for example a scene number; equal tuples are lit alike.
        place: 0 for the camera's own background, any other number for another place.
        paths: files to write, relative to the folder of the dataset: one for each sensor, or one strip of all.
        copy: files that get the very same bytes, as many as there are paths, or none.
        sensors: that see it.
    """

    identity: int
    camera: int
    scene: tuple[int, ...]
    place: int
    paths: tuple[str, ...]
    copy: tuple[str, ...] = ()
    sensors: Modality = RNT


def spread(total: int, cells: int) -> list[int]:
    """Share ``total`` out over ``cells`` as evenly as integers allow, larger shares spaced out evenly."""
    return [(i + 1) * total // cells - i * total // cells for i in range(cells)]


def spaced(first: int, last: int, count: int) -> list[int]:
    """Return ``count`` different labels from ``first`` to ``last``, evenly spaced."""
    return [first + i * (last - first) // max(count - 1, 1) for i in range(count)]


def marked(total: int, chosen: int) -> Sequence[bool]:
    """Mark ``chosen`` of ``total`` places, spaced out evenly."""
    return [share == 1 for share in spread(chosen, total)]
