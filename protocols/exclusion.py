"""Which gallery items a query must not see, and the labels that decide it."""

from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Labels:
    """What is known about n items.

    Attributes:
        identity: ``(n,)`` int64, who or what is shown.
        camera: ``(n,)`` int64, the camera that took the image.
        scene: ``(n,)`` int64, the scene or recording session.

    Raises:
        ValueError: when an array is not one-dimensional, holds no integers, or differs in length.
    """

    identity: NDArray[np.int64]
    camera: NDArray[np.int64]
    scene: NDArray[np.int64]

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _integers(field.name, getattr(self, field.name)))
        if not len(self.identity) == len(self.camera) == len(self.scene):
            lengths = f"{len(self.identity)}, {len(self.camera)} and {len(self.scene)}"
            raise ValueError(f"identity, camera and scene must have one length, not {lengths}")

    def __len__(self) -> int:
        return len(self.identity)

    def take(self, rows: ArrayLike) -> "Labels":
        """Return the labels of the rows chosen by indices or by a boolean mask, in that order."""
        chosen = np.asarray(rows)
        if not chosen.size:
            chosen = chosen.astype(np.intp)
        return Labels(self.identity[chosen], self.camera[chosen], self.scene[chosen])


def _integers(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """Convert labels to int64, refusing whatever would not survive it."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} labels must be one-dimensional, not of shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name} labels must be integers, not {array.dtype}")
    return array.astype(np.int64, copy=False)


class Exclusion(StrEnum):
    """The gallery items left out of a query's ranking, neither right nor wrong.

    ``camera`` is the rule of Market-1501, RGBNT201 and RGBNT100, ``scene`` that of MSVR310.
    """

    NONE = "none"
    CAMERA = "camera"
    """Same identity and same camera."""
    SCENE = "scene"
    """Same identity and same scene."""

    def attribute(self, labels: Labels) -> NDArray[np.int64] | None:
        """Return the labels that must differ between a query and its positives, or None when nothing is excluded."""
        if self is Exclusion.NONE:
            return None
        return labels.camera if self is Exclusion.CAMERA else labels.scene
