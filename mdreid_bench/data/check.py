"""Reads a whole dataset and lists everything that is wrong with it, at once."""

from dataclasses import dataclass
from pathlib import Path

from mdreid_bench.data import registry
from mdreid_bench.data.check_rules import (
    Finding,
    Kind,
    count_findings,
    duplicate_findings,
    established,
    findings,
    lone_or_missing,
    overlap_findings,
    positive_findings,
    size_findings,
)
from mdreid_bench.data.files import dataset_folder, image_paths
from mdreid_bench.data.fingerprint import inspect_files
from mdreid_bench.data.images import described, rules_of
from mdreid_bench.data.marker import MARKER, read_marker
from mdreid_bench.data.opening import split_of, strip_faults
from mdreid_bench.progress import Reporter


@dataclass(frozen=True)
class CheckReport:
    """What was looked at and what was found.

    Attributes:
        title: name of the dataset in tables.
        folder: of the dataset.
        synthetic: True for generated images.
        files: number of image files.
        items: number of items that lack no file.
        findings: everything that is wrong, by kind and path.
    """

    title: str
    folder: Path
    synthetic: bool
    files: int
    items: int
    findings: tuple[Finding, ...]


def check_dataset(name: str, root: Path, reporter: Reporter, split: str | None = None) -> CheckReport:
    """Read every image of a dataset and report all that is wrong.

    Nothing remembered of earlier runs is believed. A fault is reported once, where it is: a lost or damaged file does
    not count again as a wrong number of images or as a query without a positive. The published counts are
    compared for real data and for synthetic data of the full scale.

    Args:
        name: a registered name.
        root: the data root, or the folder of the dataset itself.
        reporter: shows the progress.
        split: as in ``open_dataset``.

    Raises:
        UnknownNameError: when no dataset has this name, or the dataset no such split.
        DataError: when the layout is not there.
    """
    dataset = registry.get(name)
    folder = dataset_folder(dataset, root)
    marker = read_marker(folder)
    paths = image_paths(dataset, folder)
    scan = dataset.scan(paths, dataset.assignment(folder, split_of(dataset, split)))
    named = {path for item in scan.items for path in item.images.values()}
    facts, unreadable = inspect_files(folder, sorted(named), reporter, anew=True)
    for sentence in described(rules_of(facts.values())):
        reporter.message(f"{dataset.card.title} has {sentence}.")
    items = established(scan)
    strips = strip_faults(dataset, facts)
    found = [
        *findings(Kind.NAME, scan.misnamed),
        *lone_or_missing(scan),
        *findings(Kind.IMAGE, unreadable),
        *(findings(Kind.SIZE, strips) if dataset.strip_size else size_findings(scan, facts)),
        *overlap_findings(items),
        *positive_findings(dataset, items),
        *duplicate_findings(scan, facts),
        *count_findings(dataset, items, compare=marker is None or marker.scale == "full"),
    ]
    if marker and not found and (damage := marker.damage(folder, paths)):
        found.append(Finding(Kind.COUNT, MARKER, f"not as it was drawn: {damage}"))
    order = list(Kind)
    found.sort(key=lambda finding: (order.index(finding.kind), finding.path))
    complete = len(scan.items) - len(scan.missing)
    return CheckReport(dataset.card.title, folder, marker is not None, len(paths), complete, tuple(found))
