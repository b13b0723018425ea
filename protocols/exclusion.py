"""Which gallery items a query must not see, and the labels that decide it."""

import re
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protocols.names import UnknownNameError


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


_SAME = ("none", "camera", "scene")
_FORM = re.compile(r"(?P<same>[a-z]+)(?:;(?P<hidden>\d+>\d+(?:,\d+>\d+)*))?")


@dataclass(frozen=True)
class Exclusion:
    """The gallery items left out of a query's ranking, neither right nor wrong.

    ``camera`` is the rule of Market-1501, RGBNT201 and RGBNT100, ``scene`` that of MSVR310. In SYSU-MM01 moreover the
    queries of one camera do not see another camera of the same room.

    Attributes:
        same: what a gallery item of the query's identity may not share with the query: ``"camera"``, ``"scene"``, or
            ``"none"`` if it may share all.
        hidden: pairs of camera labels (a, b): a query of camera a sees nothing of camera b, whatever the identity.

    Raises:
        UnknownNameError: for another value of ``same``.
    """

    same: str = "none"
    hidden: tuple[tuple[int, int], ...] = ()

    NONE: ClassVar["Exclusion"]
    CAMERA: ClassVar["Exclusion"]
    SCENE: ClassVar["Exclusion"]

    def __post_init__(self) -> None:
        if self.same not in _SAME:
            raise UnknownNameError("exclusion", self.same, _SAME)
        object.__setattr__(self, "hidden", tuple(sorted(set(self.hidden))))

    @classmethod
    def parse(cls, text: str) -> "Exclusion":
        """Read what ``str`` writes: ``"camera"``, ``"none; 3>2"`` or ``"camera; 3>2, 6>5"``.

        Raises:
            UnknownNameError: when the text has another form.
        """
        found = _FORM.fullmatch("".join(text.split()))
        if not found or found["same"] not in _SAME:
            rule = "'none; 3>2' where queries of camera 3 do not see camera 2"
            raise UnknownNameError("exclusion", text, _SAME, shown=[*_SAME, rule])
        pairs = (pair.split(">") for pair in (found["hidden"] or "").split(",") if pair)
        return cls(found["same"], tuple((int(query), int(gallery)) for query, gallery in pairs))

    def __str__(self) -> str:
        pairs = ", ".join(f"{query}>{gallery}" for query, gallery in self.hidden)
        return f"{self.same}; {pairs}" if pairs else self.same

    def attribute(self, labels: Labels) -> NDArray[np.int64] | None:
        """Return the labels that must differ between a query and its positives, or None when nothing need."""
        if self.same == "none":
            return None
        return labels.camera if self.same == "camera" else labels.scene

    def hides(self, query_cameras: NDArray[np.int64], gallery_cameras: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which cameras hide which: ``(a,)`` and ``(b,)`` labels to ``(a, b)``."""
        table = np.zeros((len(query_cameras), len(gallery_cameras)), dtype=np.bool_)
        for query, gallery in self.hidden:
            table |= (query_cameras == query)[:, None] & (gallery_cameras == gallery)
        return table


Exclusion.NONE, Exclusion.CAMERA, Exclusion.SCENE = (Exclusion(same) for same in _SAME)
