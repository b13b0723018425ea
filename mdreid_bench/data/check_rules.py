"""What can be wrong with a dataset beyond single files: one rule a function, one finding for each offence."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.dataset import Dataset, Fault, Scan
from mdreid_bench.data.images import ImageFacts
from mdreid_bench.data.items import Item, Items, Role
from mdreid_bench.data.opening import role_folders
from protocols.relevance import Relevance
from protocols.suites import resolve

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


def established(scan: Scan) -> list[Item]:
    """Return the items that most of their files speak for: complete ones and those that lack at most half.

    Rules on labels and counts look at these, so that one lost file is one finding.
    """
    return [item for place, item in enumerate(scan.items) if len(item.images) >= len(scan.missing.get(place, ()))]


def lone_or_missing(scan: Scan) -> list[Finding]:
    """Report each missing file, and one that is the only one of its item once instead of the several others."""
    result = []
    for place, missing in scan.missing.items():
        item = scan.items[place]
        if len(item.images) >= len(missing):
            result += [Finding(Kind.MISSING, path, "file is missing") for path in missing]
        else:
            result.append(Finding(Kind.EXTRA, first_path(item), f"alone: neither {' nor '.join(missing)} is there"))
    return result


def size_findings(scan: Scan, facts: Facts) -> list[Finding]:
    """Report for each item of separate files the one whose size differs from that of the others."""
    result = []
    for item in scan.items:
        paths = item.images.values()
        sizes = {path: (facts[path].width, facts[path].height) for path in paths if path in facts}
        if len(set(sizes.values())) < 2:
            continue
        found = list(sizes.values())
        usual = max(found, key=found.count)
        odd = next(path for path, size in sizes.items() if size != usual)
        width, height = sizes[odd]
        what = f"{width}x{height} pixels, but another image of the item has {usual[0]}x{usual[1]}"
        result.append(Finding(Kind.SIZE, odd, what))
    return result


def overlap_findings(items: Sequence[Item]) -> list[Finding]:
    """Report each identity that is both trained on and tested with, at its first file for training."""
    test = {item.identity for item in items if Role.TRAIN not in item.roles}
    first: dict[int, Item] = {}
    for item in items:
        if Role.TRAIN in item.roles and item.identity in test:
            first.setdefault(item.identity, item)
    return [
        Finding(Kind.OVERLAP, first_path(item), f"identity {identity} is in the test set too")
        for identity, item in sorted(first.items())
    ]


def positive_findings(dataset: Dataset, items: Sequence[Item]) -> list[Finding]:
    """Report each query that finds its identity in no default protocol, or only where it must not look."""
    card, test = dataset.card, Items.of(item for item in items if Role.TRAIN not in item.roles)
    if card.complete:  # an item that lacks a file is reported for that alone
        test = replace(test, sensors=np.full(len(test), card.sensors.value, dtype=np.uint8))
    asked, found = np.zeros(len(test), dtype=np.bool_), np.zeros(len(test), dtype=np.bool_)
    for setting in resolve(card.default_protocols, card.sensors):
        for trial in dataset.trials(test, setting):
            sides = test.labels.take(trial.query), test.labels.take(trial.gallery)
            asked[trial.query] = True
            found[trial.query] |= Relevance(*sides, card.exclusion).positives > 0
    rule = "" if card.exclusion.same == "none" else f" in another {card.exclusion.same}"
    return [
        Finding(Kind.POSITIVE, next(iter(test.images[row].values())), f"no gallery item of its identity{rule}")
        for row in np.flatnonzero(asked & ~found)
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


def count_findings(dataset: Dataset, items: Sequence[Item], *, compare: bool) -> list[Finding]:
    """Report each role whose items are not the published ones, or, without ``compare``, each one that has none."""
    result = []
    for role, folder in role_folders(dataset).items():
        part = [item.identity for item in items if role in item.roles]
        if not compare:
            result += [] if part else [Finding(Kind.COUNT, folder, "no images")]
            continue
        images, identities = _published(dataset.card, role)
        pairs = (("images", len(part), images), ("identities", len(set(part)), identities))
        result += [
            Finding(Kind.COUNT, folder, f"{found} {what} instead of {right}")
            for what, found, right in pairs
            if found != right
        ]
    return list(dict.fromkeys(result))


def _published(card: DatasetCard, role: Role) -> tuple[int, int]:
    counts = card.counts
    if role is Role.TRAIN:
        return counts.train_images, counts.train_identities
    if role is Role.QUERY:
        return counts.query_images, counts.query_identities
    return counts.gallery_images, counts.gallery_identities


def first_path(item: Item) -> str:
    """Return the file that stands for an item in findings."""
    return next(iter(item.images.values()))


def _places(scan: Scan) -> dict[str, tuple[object, ...]]:
    """Return a key for each file, equal for a query's file and its copy in the gallery and for no others."""
    result: dict[str, tuple[object, ...]] = {}
    for item in scan.items:
        common = (Role.TRAIN in item.roles, item.name, item.identity, item.camera, item.scene)
        for sensor, path in item.images.items():
            result.setdefault(path, (*common, sensor))
    return result
