"""What can be wrong with a dataset beyond single files: one rule a function, one finding for each offence."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.dataset import Dataset, Fault, Incomplete, Scan, Triplet
from mdreid_bench.data.images import ImageFacts
from mdreid_bench.data.items import Role
from protocols.exclusion import Exclusion, Labels
from protocols.modality import SINGLES, Modality
from protocols.relevance import Relevance

Labelled = Triplet | Incomplete
Facts = Mapping[str, ImageFacts]


class Kind(enum.StrEnum):
    """Kinds of findings, in the order of the table."""

    NAME = "name"
    MISSING = "missing file"
    EXTRA = "extra file"
    IMAGE = "unreadable image"
    SIZE = "size"
    OVERLAP = "identity in train and test"
    POSITIVE = "query without positive"
    DUPLICATE = "duplicate image"
    COUNT = "count"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: of the offence.
        path: file or folder, relative to the folder of the dataset.
        what: a few words.
    """

    kind: Kind
    path: str
    what: str


def findings(kind: Kind, faults: Iterable[Fault]) -> list[Finding]:
    """Give faults of single files their kind."""
    return [Finding(kind, fault.path, fault.what) for fault in faults]


def established(scan: Scan) -> list[Labelled]:
    """Return the triplets of which at most one file is missing.

    Rules on labels and counts look at these, so that one lost file is one finding.
    """
    return [*scan.triplets, *(part for part in scan.incomplete if len(part.present) > 1)]


def lone_or_missing(scan: Scan) -> list[Finding]:
    """Report each missing file; where only one file of a triplet is there, report that one instead of both others."""
    result = []
    for part in scan.incomplete:
        if len(part.present) > 1:
            result += [Finding(Kind.MISSING, path, "file is missing") for path in part.missing]
        else:
            what = f"alone: neither {' nor '.join(part.missing)} is there"
            result.append(Finding(Kind.EXTRA, first_path(part), what))
    return result


def size_findings(scan: Scan, facts: Facts) -> list[Finding]:
    """Report for each triplet of separate files the one whose size differs from that of the others."""
    result = []
    for item in scan.labelled:
        paths = files_by_sensor(item).values()
        sizes = {path: (facts[path].width, facts[path].height) for path in paths if path in facts}
        if len(set(sizes.values())) < 2:
            continue
        found = list(sizes.values())
        usual = max(found, key=found.count)
        odd = next(path for path, size in sizes.items() if size != usual)
        width, height = sizes[odd]
        what = f"{width}x{height} pixels, but another image of the triplet has {usual[0]}x{usual[1]}"
        result.append(Finding(Kind.SIZE, odd, what))
    return result


def overlap_findings(items: Sequence[Labelled]) -> list[Finding]:
    """Report each identity that is both trained on and tested with, at its first file for training."""
    test = {item.identity for item in items if Role.TRAIN not in item.roles}
    first: dict[int, Labelled] = {}
    for item in items:
        if Role.TRAIN in item.roles and item.identity in test:
            first.setdefault(item.identity, item)
    return [
        Finding(Kind.OVERLAP, first_path(item), f"identity {identity} is in the test set too")
        for identity, item in sorted(first.items())
    ]


def positive_findings(items: Sequence[Labelled], exclusion: Exclusion) -> list[Finding]:
    """Report each query that finds its identity nowhere in the gallery, or only where it must not look."""
    queries = [item for item in items if Role.QUERY in item.roles]
    gallery = [item for item in items if Role.GALLERY in item.roles]
    positives = Relevance(_labels(queries), _labels(gallery), exclusion).positives
    what = "no gallery item of its identity" + ("" if exclusion is Exclusion.NONE else f" in another {exclusion}")
    return [
        Finding(Kind.POSITIVE, first_path(query), what)
        for query, count in zip(queries, positives, strict=True)
        if not count
    ]


def duplicate_findings(scan: Scan, facts: Facts) -> list[Finding]:
    """Report each file with the content of another one, unless one is the query's copy of the other."""
    by_content: dict[str, dict[tuple[object, ...], str]] = {}
    for path, place in sorted(_places(scan).items()):
        if path in facts:
            by_content.setdefault(facts[path].digest, {}).setdefault(place, path)
    result = []
    for places in by_content.values():
        original, *copies = places.values()
        result += [Finding(Kind.DUPLICATE, path, f"same content as {original}") for path in copies]
    return result


def count_findings(dataset: Dataset, items: Sequence[Labelled], *, compare: bool) -> list[Finding]:
    """Report each split whose size is not the published one, or, without ``compare``, each one that is empty."""
    result = []
    for split, roles in dataset.splits.items():
        part = [item.identity for item in items if item.roles == roles]
        if not compare:
            result += [] if part else [Finding(Kind.COUNT, split, "no images")]
            continue
        images, identities = _published(dataset.card, roles)
        pairs = (("images", len(part), images), ("identities", len(set(part)), identities))
        result += [
            Finding(Kind.COUNT, split, f"{found} {what} instead of {right}")
            for what, found, right in pairs
            if found != right
        ]
    return result


def _published(card: DatasetCard, roles: Role) -> tuple[int, int]:
    counts = card.counts
    if Role.TRAIN in roles:
        return counts.train_images, counts.train_identities
    if Role.QUERY in roles:
        return counts.query_images, counts.query_identities
    return counts.gallery_images, counts.gallery_identities


def files_by_sensor(item: Labelled) -> Mapping[Modality, str]:
    """Return the files that are there, in the order of the sensors; a strip stands for each."""
    return dict(zip(SINGLES, item.paths, strict=True)) if isinstance(item, Triplet) else item.present


def first_path(item: Labelled) -> str:
    """Return the file that stands for a triplet in findings."""
    return next(iter(files_by_sensor(item).values()))


def _places(scan: Scan) -> dict[str, tuple[object, ...]]:
    """Return a key for each file, equal for a query's file and its copy in the gallery and for no others."""
    result: dict[str, tuple[object, ...]] = {}
    for item in scan.labelled:
        common = (Role.TRAIN in item.roles, item.name, item.identity, item.camera, item.scene)
        for sensor, path in files_by_sensor(item).items():
            result.setdefault(path, (*common, sensor))
    return result


def _labels(items: Sequence[Labelled]) -> Labels:
    columns = ([getattr(item, name) for item in items] for name in ("identity", "camera", "scene"))
    return Labels(*(np.array(column, dtype=np.int64) for column in columns))
