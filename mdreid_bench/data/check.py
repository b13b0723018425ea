"""Reads all files of a dataset, and holds them against the rules of :mod:`mdreid_bench.data.check_rules`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from posixpath import splitext

from mdreid_bench.data import registry
from mdreid_bench.data.check_rules import (
    Facts,
    Finding,
    Kind,
    camera_findings,
    count_findings,
    duplicate_findings,
    established,
    lone_or_missing,
    name_findings,
    overlap_findings,
    positive_findings,
    size_findings,
)
from mdreid_bench.data.dataset import Dataset, Fault, Scan
from mdreid_bench.data.files import dataset_folder, image_paths
from mdreid_bench.data.fingerprint import inspect_files
from mdreid_bench.data.images import described, rules_of
from mdreid_bench.data.marker import MARKER, Marker, read_marker
from mdreid_bench.progress import Reporter


@dataclass(frozen=True)
class Reading:
    """A dataset whose files were read.

    Attributes:
        dataset: what it is.
        folder: where it is.
        marker: of generated images, else None.
        paths: of all image files.
        scan: the items that their names tell of.
        facts: of the readable images, by path.
        unreadable: the other ones.
        absent: images that lists name and that are not there.
        incomplete: whether items may lack images that the dataset says they have.
        split: how it is divided, where there are several ways; else None.
    """

    dataset: Dataset
    folder: Path
    marker: Marker | None
    paths: Sequence[str]
    scan: Scan
    facts: Facts
    unreadable: tuple[Fault, ...]
    absent: tuple[Fault, ...]
    incomplete: bool
    split: str | None = None

    @property
    def complete_items(self) -> int:
        """Number of items that lack no file."""
        return len(self.scan.items) - len(self.scan.missing)

    @cached_property
    def damage(self) -> str | None:
        """How generated images differ from what was drawn, in a few words; None where they do not."""
        marker = self.marker
        return marker.damage(self.folder, (*self.paths, *self.dataset.lists(marker.scale))) if marker else None

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that is wrong, by kind and path.

        A fault is reported once, where it is: a lost or damaged file does not count again as a wrong number of images
        or as a query without a positive. The published counts are compared for real data and for synthetic data of
        the full scale.
        """
        dataset, scan, items = self.dataset, self.scan, established(self.scan)
        found = [
            *name_findings(scan),
            *lone_or_missing(scan, allowed=self.incomplete),
            *(Finding(Kind.MISSING, fault.path, fault.what, not self.incomplete) for fault in self.absent),
            *(Finding(Kind.IMAGE, fault.path, fault.what) for fault in self.unreadable),
            *size_findings(dataset, scan, self.facts),
            *overlap_findings(items),
            *positive_findings(dataset, items),
            *duplicate_findings(scan, self.facts),
            *camera_findings(items),
            *count_findings(dataset, items, compare=self.marker is None or self.marker.scale == "full"),
        ]
        if not found and self.damage:
            found.append(Finding(Kind.COUNT, MARKER, f"not as it was drawn: {self.damage}"))
        order = list(Kind)
        return tuple(sorted(found, key=lambda finding: (order.index(finding.kind), finding.path)))


def read_dataset(
    name: str,
    root: Path,
    reporter: Reporter,
    split: str | None = None,
    *,
    incomplete: bool = False,
    anew: bool = False,
) -> Reading:
    """Find a dataset and read every image.

    Args:
        name: a registered name.
        root: the data root, or the folder of the dataset itself.
        reporter: shows the progress.
        split: how it is divided, where it can be divided in several ways; by default the first.
        incomplete: whether items may lack images that the dataset says they have.
        anew: believe nothing that is remembered of earlier runs.

    Raises:
        UnknownNameError: when no dataset has this name, or the dataset no such split.
        DataError: when the layout is not there.
    """
    dataset = registry.get(name)
    split = dataset.split(split)
    folder = dataset_folder(dataset, root)
    marker, paths = read_marker(folder), image_paths(dataset, folder)
    scan = dataset.scan(paths, dataset.assignment(folder, split))
    wanted = {path for item in scan.items for path in item.images.values()}
    facts, unreadable = inspect_files(folder, sorted(wanted), reporter, anew=anew)
    for sentence in described(rules_of(facts.values())):
        reporter.message(f"{dataset.card.title} has {sentence}.")
    there = {splitext(path)[0] for path in paths}
    absent = tuple(
        Fault(path, f"file is missing, which {file} names")
        for path, file in dataset.named(folder, split).items()
        if splitext(path)[0] not in there
    )
    return Reading(dataset, folder, marker, paths, scan, facts, unreadable, absent, incomplete, split)


def kinds(found: Iterable[Finding]) -> dict[str, int]:
    """Count findings by kind, in the order of the kinds."""
    counts = Counter[Kind]()
    for finding in found:
        counts[finding.kind] += finding.count
    return {str(kind): counts[kind] for kind in Kind if kind in counts}
