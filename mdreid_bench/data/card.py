"""What is published about a dataset."""

from dataclasses import dataclass
from typing import Literal

from protocols.exclusion import Exclusion


@dataclass(frozen=True)
class SplitCounts:
    """Published numbers of triplets and identities.

    Attributes:
        train_images: training triplets.
        train_identities: identities among them.
        query_images: query triplets.
        query_identities: identities among them.
        gallery_images: gallery triplets; every query is one of them.
        gallery_identities: identities among them.
    """

    train_images: int
    train_identities: int
    query_images: int
    query_identities: int
    gallery_images: int
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
