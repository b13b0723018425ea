"""Plug-in datasets whose sensors are not those of RGBNT201, each with a small synthetic copy."""

import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mdreid_bench.data import registry
from mdreid_bench.data.card import DatasetCard, SplitCounts
from mdreid_bench.data.dataset import Assignment, Dataset
from mdreid_bench.data.items import Role
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from protocols.exclusion import Exclusion
from protocols.modality import RNT, D, R, T

TRAIN, TEST = range(1, 9), range(11, 17)
"""Identities that are trained on and tested with."""


def card(name: str, **facts: Any) -> DatasetCard:
    common: dict[str, Any] = {
        "kind": "vehicle",
        "paper": "none",
        "bibtex": "@misc{none}",
        "licence": "none",
        "image_size": (128, 256),
        "exclusion": Exclusion.CAMERA,
        "counts": SplitCounts(0, 0, 0, 0, 0, 0),
    }
    return DatasetCard(name=name, title=name.capitalize(), **{**common, **facts})


class Pairs(Dataset):
    """``train/rgb/0001_c1_0.jpg`` beside ``train/thermal/0001_c1_0.jpg``: RGB and thermal, and nothing else."""

    card = card("pairs", cameras=2, sensors=R | T, layout="Pairs/{train,test}/{rgb,thermal}/*.jpg")
    roles: ClassVar = {"train": Role.TRAIN, "test": Role.QUERY | Role.GALLERY}
    sensors: ClassVar = {"rgb": R, "thermal": T}
    grammar = re.compile(
        r"(?P<role>train|test)/(?P<sensor>rgb|thermal)/(?P<file>(?P<identity>\d{4})_c(?P<camera>[12])_\d\.jpg)"
    )

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        return int(match["identity"]), int(match["camera"]) - 1, 0

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        return [
            PlannedFrame(
                identity,
                camera,
                (identity, camera),
                0,
                tuple(f"{role}/{part}/{identity:04d}_c{camera}_{frame}.jpg" for part in self.sensors),
                sensors=self.card.sensors,
            )
            for role, identities in (("train", TRAIN), ("test", TEST))
            for identity in identities
            for camera in (1, 2)
            for frame in range(2)
        ]


class Quads(Dataset):
    """``train/0001_c1_0.jpg``: a strip of RGB, near infrared, thermal infrared and depth."""

    card = card("quads", cameras=2, sensors=RNT | D, layout="Quads/{train,test}/*.jpg")
    roles: ClassVar = {"train": Role.TRAIN, "test": Role.QUERY | Role.GALLERY}
    grammar = re.compile(r"(?P<role>train|test)/(?P<file>(?P<identity>\d{4})_c(?P<camera>[12])_\d\.jpg)")
    strip_size = (1024, 128)

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        return int(match["identity"]), int(match["camera"]) - 1, 0

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        return [
            PlannedFrame(
                identity,
                camera,
                (identity, camera),
                0,
                (f"{role}/{identity:04d}_c{camera}_{frame}.jpg",),
                sensors=self.card.sensors,
            )
            for role, identities in (("train", TRAIN), ("test", TEST))
            for identity in identities
            for camera in (1, 2)
            for frame in range(2)
        ]


class Lone(Dataset):
    """``train/cam3/0001/0.jpg``: every image is an item; cameras 1 and 2 are RGB, camera 3 is thermal."""

    card = card(
        "lone",
        cameras=3,
        sensors=R | T,
        complete=False,
        default_protocols=("T-to-R", "R-to-T"),
        layout="Lone/{train,test}/cam{1,2,3}/IDENTITY/*.jpg",
    )
    roles: ClassVar = {"train": Role.TRAIN, "test": Role.QUERY | Role.GALLERY}
    sensors: ClassVar = {"cam1": R, "cam2": R, "cam3": T}
    grammar = re.compile(
        r"(?P<role>train|test)/(?P<file>(?P<sensor>cam(?P<camera>[123]))/(?P<identity>\d{4})/\d\.jpg)"
    )

    def item(self, match: re.Match[str]) -> str:
        return match[0]

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        return int(match["identity"]), int(match["camera"]) - 1, 0

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        return [
            PlannedFrame(
                identity,
                camera,
                (identity, camera),
                0,
                (f"{role}/cam{camera}/{identity:04d}/{frame}.jpg",),
                sensors=self.sensors[f"cam{camera}"],
            )
            for role, identities in (("train", TRAIN), ("test", TEST))
            for identity in identities
            for camera in (1, 2, 3)
            for frame in range(2)
        ]


class Listed(Lone):
    """The same images without folders for roles: two splits, each with a list of the identities that it trains on."""

    card = card(
        "listed",
        cameras=3,
        sensors=R | T,
        complete=False,
        default_protocols=("R-to-T",),
        layout="Listed/images/cam{1,2,3}/IDENTITY/*.jpg and Listed/train_{1,2}.txt",
    )
    roles: ClassVar = {"images": Role.TRAIN | Role.QUERY | Role.GALLERY}
    grammar = re.compile(r"images/(?P<file>(?P<sensor>cam(?P<camera>[123]))/(?P<identity>\d{4})/\d\.jpg)")
    splits = ("1", "2")

    def assignment(self, folder: Path, split: str | None) -> Assignment:
        trained = set((folder / f"train_{split}.txt").read_text().split(","))
        return lambda match: Role.TRAIN if match["identity"] in trained else Role.QUERY | Role.GALLERY


OTHERS: dict[str, type[Dataset]] = {"pairs": Pairs, "quads": Quads, "lone": Lone, "listed": Listed}


def register(patch: pytest.MonkeyPatch) -> None:
    """Register all of them for the time of a test."""
    found = dict(registry._REGISTERED._found)
    for name, kind in OTHERS.items():
        found[name] = EntryPoint(name, f"{kind.__module__}:{kind.__name__}", registry.GROUP)
    patch.setattr(registry._REGISTERED, "_found", found)
