"""What is published about a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from protocols.exclusion import Exclusion
from protocols.modality import RNT, Modality
from protocols.ranking import CMC
from protocols.suites import Setting


@dataclass(frozen=True)
class SplitCounts:
    """Published numbers of items and identities; None where none is published.

    Attributes:
        train_images: training items.
        train_identities: identities among them.
        query_images: queries.
        query_identities: identities among them.
        gallery_images: gallery items; the queries may be among them.
        gallery_identities: identities among them.
    """

    train_images: int | None
    train_identities: int
    query_images: int | None
    query_identities: int
    gallery_images: int | None
    gallery_identities: int


@dataclass(frozen=True)
class DatasetCard:
    """Frozen metadata of a dataset.

    Attributes:
        name: the name on the command line.
        title: the name in tables, which is also the name of its folder.
        kind: persons or vehicles.
        paper: authors, title, venue and year.
        bibtex: the entry to cite.
        licence: the terms of the images as far as they are known.
        image_size: (height, width) in pixels for training.
        cameras: size of the camera embedding; camera labels are 0 .. cameras - 1.
        exclusion: which gallery items a query must not see.
        counts: the published counts.
        layout: the folders expected below the data root, for messages.
        sensors: the sensors that it has.
        complete: whether every item must have images of all of them; one that lacks any is then a fault.
        default_protocols: what is run when no protocol is named; all sensors on both sides unless said otherwise.
        corrupted_set: published name of the test set with random corruptions on its visible images; empty for none.
        cmc: whether Rank-k counts gallery items, or every identity once.
        folders: other names of its folder.
        modes: the ways to draw what is compared, in words, by the name that follows ``@`` in a protocol, ``""`` for
            the usual one; empty where there is only one way.
        metrics: those that tables on it have, in their order.
        test_cameras: published number of test items of each camera; empty where that is not known.
    """

    name: str
    title: str
    kind: Literal["person", "vehicle"]
    paper: str
    bibtex: str
    licence: str
    image_size: tuple[int, int]
    cameras: int
    exclusion: Exclusion
    counts: SplitCounts
    layout: str
    sensors: Modality = RNT
    complete: bool = True
    default_protocols: tuple[str, ...] = ()
    corrupted_set: str = ""
    cmc: CMC = "items"
    folders: tuple[str, ...] = ()
    modes: Mapping[str, str] = field(default_factory=dict, hash=False)
    metrics: tuple[str, ...] = ("mAP", "rank1", "rank5", "rank10")
    test_cameras: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.default_protocols:
            object.__setattr__(self, "default_protocols", (f"{self.sensors}-to-{self.sensors}",))

    def lacks(self, setting: Setting) -> str | None:
        """Say what a setting asks for that the dataset does not have; None when it has all."""
        absent = [f"no {sensor}" for sensor in setting.needs if sensor not in self.sensors]
        if setting.mode and setting.mode not in self.modes:
            valid = ", ".join(filter(None, self.modes))
            absent.append(f"no mode {setting.mode!r}" + (f", only {valid}" if valid else ""))
        return f"{self.title} has {' and '.join(absent)}" if absent else None
