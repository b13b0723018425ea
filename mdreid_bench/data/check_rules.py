"""What can be wrong with a dataset: one rule a function, one finding for each offence, asked before trainings."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.dataset import Dataset, Scan
from mdreid_bench.data.images import InspectedImage
from mdreid_bench.data.items import Item, Items, Role
from mdreid_bench.wording import counted
from protocols.relevance import Relevance
from protocols.suites import Setting, resolve

Facts = Mapping[str, InspectedImage]


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
    CAMERA = "camera without training images"
    COUNT = "count"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong; docs/methods/datasets.md, "Irregularities", tells which ones stop a run.

    Attributes:
        kind: of the offence.
        path: file or folder, relative to the folder of the dataset.
        what: a few words.
        stops: whether nothing may be trained or evaluated; else it is said, and stands in the records.
        count: how many files or items share it, of which ``path`` is one.
    """

    kind: Kind
    path: str
    what: str
    stops: bool = True
    count: int = 1


def name_findings(scan: Scan) -> list[Finding]:
    """Report files whose names or places are wrong, those with the same fault once, at the first of them."""
    paths: dict[str, list[str]] = {}
    for fault in scan.misnamed:
        paths.setdefault(fault.what, []).append(fault.path)
    return [
        Finding(
            Kind.NAME, first, f"{what}, as {counted(len(more), 'other file')}" if more else what, count=1 + len(more)
        )
        for what, (first, *more) in paths.items()
    ]


def established(scan: Scan) -> list[Item]:
    """Return the items that most of their files speak for: complete ones and those that lack at most half.

    Rules on labels and counts look at these, so that one lost file is one finding.
    """
    return [item for place, item in enumerate(scan.items) if len(item.images) >= len(scan.missing.get(place, ()))]


def lone_or_missing(scan: Scan, *, allowed: bool) -> list[Finding]:
    """Report each missing file, and one that is the only one of its item once instead of the several others.

    Where items may lack files, they are alone as they are, and all others are missing.
    """
    result = []
    for place, missing in scan.missing.items():
        item = scan.items[place]
        if allowed or len(item.images) >= len(missing):
            result += [Finding(Kind.MISSING, path, "file is missing", not allowed) for path in missing]
        else:
            what = f"alone: neither {' nor '.join(missing)} is there"
            result.append(Finding(Kind.EXTRA, first_path(item), what))
    return result


def size_findings(dataset: Dataset, scan: Scan, facts: Facts) -> list[Finding]:
    """Report each strip of a wrong size, or for each item of separate files the one that differs from the others."""
    if dataset.strip_size is not None:
        width, height = dataset.strip_size
        return [
            Finding(Kind.SIZE, path, f"strip of {fact.width}x{fact.height} pixels instead of {width}x{height}")
            for path, fact in facts.items()
            if (fact.width, fact.height) != dataset.strip_size
        ]
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
        result.append(Finding(Kind.SIZE, odd, what, stops=False))
    return result


def overlap_findings(items: Sequence[Item]) -> list[Finding]:
    """Report each identity that is both trained on and tested with, at its first file for training."""
    test = {item.identity for item in items if item.roles & ~Role.TRAIN}
    first: dict[int, Item] = {}
    for item in items:
        if Role.TRAIN in item.roles and item.identity in test:
            first.setdefault(item.identity, item)
    return [
        Finding(Kind.OVERLAP, first_path(item), f"identity {identity} is in the test set too")
        for identity, item in sorted(first.items())
    ]


def positive_findings(dataset: Dataset, items: Sequence[Item]) -> list[Finding]:
    """Report each query that finds its identity in no default protocol, or only where it must not look.

    If none finds any, this is said once, and nothing can be evaluated.
    """
    card, test = dataset.card, Items.of(item for item in items if Role.TRAIN not in item.roles)
    if card.complete:  # an item that lacks a file is reported for that alone
        test = replace(test, sensors=np.full(len(test), card.sensors.value, dtype=np.uint8))
    answers = [queries(dataset, test, setting) for setting in resolve(card.default_protocols, card.sensors)]
    asked, found = (np.logical_or.reduce(masks) for masks in zip(*answers, strict=True))
    lost = [next(iter(test.images[row].values())) for row in np.flatnonzero(asked & ~found)]
    what = f"no gallery item of its identity{elsewhere(card)}"
    if lost and not found.any():
        return [Finding(Kind.POSITIVE, lost[0], f"{what}, as for all {len(lost)} queries", count=len(lost))]
    return [Finding(Kind.POSITIVE, path, what, stops=False) for path in lost]


def queries(dataset: Dataset, test: Items, setting: Setting) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which test items (n,) are queries under a setting, and which of them have a positive."""
    asked, found = np.zeros(len(test), dtype=np.bool_), np.zeros(len(test), dtype=np.bool_)
    exclusion = setting.exclusion(dataset.card.exclusion, np.unique(test.labels.camera))
    for trial in dataset.trials(test, setting):
        sides = test.labels.take(trial.query), test.labels.take(trial.gallery)
        asked[trial.query] = True
        found[trial.query] |= Relevance(*sides, exclusion).positives > 0
    return asked, found


def elsewhere(card: DatasetCard) -> str:
    """Say where the positives of a query have to be, such as ``" in another camera"``."""
    return "" if card.exclusion.same == "none" else f" in another {card.exclusion.same}"


def duplicate_findings(scan: Scan, facts: Facts) -> list[Finding]:
    """Report each file with the content of another one, unless one is the query's copy of the other.

    That all images of an item are in the training and in the test set stops a run. A single file may be in both
    without harm, such as the black image of a sensor that saw nothing.
    """
    by_content: dict[str, dict[tuple[object, ...], str]] = {}
    for path, place in sorted(_places(scan).items()):
        if path in facts:
            by_content.setdefault(facts[path].digest, {}).setdefault(place, path)
    leaked = _in_train_and_test(scan, facts)
    result = []
    for digest, places in by_content.items():
        original, *copies = places.values()
        stops = digest in leaked
        what = f"same content as {original}{', an item in train and test' if stops else ''}"
        result += [Finding(Kind.DUPLICATE, path, what, stops) for path in copies]
    return result


def _in_train_and_test(scan: Scan, facts: Facts) -> set[str]:
    """Return the digests of the images of items all of whose images are those of an item of the other set."""
    sides: tuple[set[tuple[str, ...]], set[tuple[str, ...]]] = set(), set()
    for item in scan.items:
        if all(path in facts for path in item.images.values()):
            sides[Role.TRAIN in item.roles].add(tuple(facts[path].digest for path in item.images.values()))
    return {digest for content in sides[0] & sides[1] for digest in content}


def camera_findings(items: Sequence[Item]) -> list[Finding]:
    """Report each camera of the test set that took no training image, at its first file."""
    trained = {item.camera for item in items if Role.TRAIN in item.roles}
    unknown: dict[int, list[Item]] = {}
    for item in items if trained else ():
        if Role.TRAIN not in item.roles and item.camera not in trained:
            unknown.setdefault(item.camera, []).append(item)
    return [
        Finding(
            Kind.CAMERA,
            first_path(found[0]),
            f"camera {camera} (from 0) took no training image; its vector is the mean of those that did",
            stops=False,
            count=len(found),
        )
        for camera, found in sorted(unknown.items())
    ]


def count_findings(dataset: Dataset, items: Sequence[Item], *, compare: bool) -> list[Finding]:
    """Report each role that has no items and, with ``compare``, each whose items are not the published ones."""
    result = []
    for role, folder in dataset.role_folders().items():
        part = [item.identity for item in items if role in item.roles]
        if not part:
            result.append(Finding(Kind.COUNT, folder, f"no images, expected {dataset.card.layout}"))
        elif compare:
            images, identities = _published(dataset.card, role)
            pairs = (("images", len(part), images), ("identities", len(set(part)), identities))
            result += [
                Finding(Kind.COUNT, folder, f"{found} {what} instead of {right}", stops=False)
                for what, found, right in pairs
                if right not in (None, found)
            ]
    for camera, right in enumerate(dataset.card.test_cameras if compare else ()):
        found = sum(item.camera == camera for item in items if Role.TRAIN not in item.roles)
        if found != right:
            what = f"{found} test images of camera {camera} (from 0) instead of {right}"
            result.append(Finding(Kind.COUNT, dataset.card.title, what, stops=False))
    return list(dict.fromkeys(result))


def _published(card: DatasetCard, role: Role) -> tuple[int | None, int]:
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
